"""What must hold after the last fault. Reads the database, the senders' logs and the receiver's log, and nothing else."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby, pairwise
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from tests.chaos.callers import Caller
from tests.chaos.fhir_callers import FhirCaller, Ledger
from tests.chaos.fhir_invariants import judge_fhir, judge_index
from tests.chaos.hub import Hub
from tests.chaos.population import Family
from tests.chaos.receiver import Request
from tests.chaos.senders import Sent
from tests.chaos.verdict import Verdict

from chartwire.core.ids import from_prefixed

STUCK_S = 60.0
_LATE_S = 10.0
_OPEN_LANES = """
select kind, count(*) as lanes, owner is not null as owned, attempts,
       round(extract(epoch from max(lease_until) - now())) as lease_s, max(not_before) > now() as held
  from lane where owner is not null or ready_at < 'infinity' group by kind, owner, attempts limit 10
"""
_UNSETTLED = """
select (select count(*) from message where state = 'received') as messages,
       (select count(*) from job) as jobs,
       (select count(*) from lane where owner is not null) as owned,
       (select count(*) from lane where kind = 'intake' and ready_at < 'infinity') as ready,
       (select count(*) from delivery where state not in ('delivered', 'dead')) as deliveries
"""


async def judge(
    hub: Hub,
    sent: Sequence[Sent],
    families: Sequence[Family],
    callers: Sequence[Caller | FhirCaller] = (),
    *,
    ledger: Ledger | None = None,
    dead: frozenset[str] = frozenset(),
    stuck_s: float = STUCK_S,
) -> Verdict:
    """All invariants, I3 first since the others need the end. `dead` are control ids of messages that must be dead."""
    verdict = Verdict()
    admin = await asyncpg.connect(hub.database.admin_dsn)
    try:
        await _nothing_is_stuck(admin, verdict, stuck_s)
        await _stored_once(admin, verdict, hub.source.id, sent)
        await _ended_as_expected(admin, verdict, sent, dead)
        await _effect_once(admin, verdict)
        await _order_kept(admin, verdict, families)
        await _told_once(admin, verdict, hub.receiver.requests)
        await _audited(admin, verdict, callers)
        if ledger is not None:
            await judge_fhir(admin, verdict, ledger)
    finally:
        await admin.close()
    await judge_index(hub.database.app_dsn, hub.org, verdict)
    return verdict


async def _nothing_is_stuck(admin: Any, verdict: Verdict, stuck_s: float) -> None:
    """I3."""
    began, last, late = perf_counter(), "", ""
    while True:
        row = dict(await admin.fetchrow(_UNSETTLED))
        if not any(row.values()) or perf_counter() - began > stuck_s:
            break
        last = ", ".join(what for what, count in row.items() if count)
        if not late and perf_counter() - began > _LATE_S:
            late = f"; after {_LATE_S:.0f} s: " + ", ".join(str(tuple(lane)) for lane in await admin.fetch(_OPEN_LANES))
        await asyncio.sleep(0.1)
    verdict.figures["waited_for"] = f" ({last} came last{late})" if last else ""
    verdict.figures["quiet_after_s"] = round(perf_counter() - began, 1)
    verdict.expect(not any(row.values()), f"I3 nothing is stuck {stuck_s:.0f} s after the last fault", row)


async def _stored_once(admin: Any, verdict: Verdict, source: UUID, sent: Sequence[Sent]) -> None:
    """I1, the ledger's part of I2, and the answers to deliberate resends."""
    rows = await admin.fetch("select control_id, count(*) as n from message where source_id = $1 group by 1", source)
    stored = {row["control_id"]: row["n"] for row in rows}
    acked = [one for one in sent if one.acks]
    missing = [one.message.control_id for one in acked if one.message.control_id not in stored]
    twice = [control_id for control_id, count in stored.items() if count > 1]
    unknown = stored.keys() - {one.message.control_id for one in sent}
    torn = [one.message.control_id for one in acked if len(one.acks) > 1]
    verdict.expect(not missing, "I1 every message that was answered is stored", *missing)
    verdict.expect(not twice, "I2 no message is stored twice", *twice)
    verdict.expect(not unknown, "I1 nothing is stored that was not sent", *unknown)
    verdict.expect(not torn, "a resend gets the stored answer byte for byte", *torn)
    verdict.figures |= {
        "acked": len(acked),
        "lost": len(missing),
        "resent_on_purpose": sum(one.resends for one in sent),
        "resent_after_a_break": sum(one.sends - one.resends - 1 for one in sent if one.sends),
    }


async def _ended_as_expected(admin: Any, verdict: Verdict, sent: Sequence[Sent], dead: frozenset[str]) -> None:
    rows = await admin.fetch("select control_id, state, error_code from message where state <> 'processed'")
    wrong = [tuple(row) for row in rows if row["state"] != "dead" or row["control_id"] not in dead]
    verdict.expect(not wrong, "every good message is processed", *wrong)
    missing = dead - {row["control_id"] for row in rows} if dead else set()
    verdict.expect(not missing, "every poison message is a dead letter", *missing)
    verdict.figures["dead"] = len(rows) - len(wrong)
    reviews = await admin.fetch("select kind, detail from review")
    verdict.expect(not reviews, "nothing needs a person", *(tuple(row) for row in reviews))


async def _effect_once(admin: Any, verdict: Verdict) -> None:
    """I2: one version and one event a message, resource and kind; every version differs from the one before."""
    rows = await admin.fetch(
        "select type, id, version, message_id, body from resource"
        " union all select type, id, version, message_id, body from resource_history order by 1, 2, 3"
    )
    per_message = Counter((row["type"], row["id"], row["message_id"]) for row in rows if row["message_id"])
    doubled = [key for key, count in per_message.items() if count > 1]
    verdict.expect(not doubled, "I2 a message makes one version of a resource", *doubled)
    idle, gaps = [], []
    for key, versions in groupby(rows, key=lambda row: (row["type"], row["id"])):
        held = list(versions)
        if [row["version"] for row in held] != list(range(1, len(held) + 1)):
            gaps.append(key)
        bodies = [_without_meta(row["body"]) for row in held]
        if any(one == other for one, other in pairwise(bodies)):
            idle.append(key)
    verdict.expect(not gaps, "I2 versions are numbered without gap", *gaps)
    verdict.expect(not idle, "I2 no version repeats the one before", *idle)
    events = await admin.fetch(
        "select message_id, resource_id, type, count(*) as n from event where message_id is not null"
        " group by 1, 2, 3 having count(*) > 1"
    )
    verdict.expect(not events, "I2 an event is told once a message", *(tuple(row) for row in events))
    verdict.figures["versions"] = len(rows)


async def _order_kept(admin: Any, verdict: Verdict, families: Sequence[Family]) -> None:
    """I4: the phones of each record's versions, the visits, reports and appointments are what the model says."""
    rows = await admin.fetch(
        "select id, version, body, true as current from resource where type = 'Patient'"
        " union all select id, version, body, false from resource_history where type = 'Patient' order by 1, 2"
    )
    versions: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        versions[row["id"]].append(orjson.loads(row["body"]))
    records = {_numbers(bodies[0])[0]: (resource_id, bodies) for resource_id, bodies in versions.items()}
    verdict.expect(len(records) == len(versions), "I4 one record for each patient", len(versions) - len(records))
    inversions = 0
    for family in families:
        inversions += _family_kept(verdict, family, records)
    await _things_kept(admin, verdict, families, records)
    await _appointments_kept(admin, verdict, families)
    verdict.figures |= {"patients": len(versions), "inversions": inversions}


def _family_kept(verdict: Verdict, family: Family, records: dict[str, tuple[UUID, list[Any]]]) -> int:
    broken = 0
    for mrn, phones in family.phones.items():
        if mrn not in records:
            verdict.expect(False, "I4 every patient has a record", mrn)
            continue
        seen = [phone for phone, _ in groupby(filter(None, map(_phone, records[mrn][1])))]
        if seen != phones:
            broken += 1
            verdict.expect(False, "I4 changes are applied in the sender's order", mrn, seen, phones)
    if family.merged and family.loser in records and family.survivor in records:
        loser, survivor = records[family.loser][1][-1], records[family.survivor][0]
        wanted = [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
        merged = loser.get("link") == wanted and loser["active"] is False
        verdict.expect(merged, "I4 the loser of a merge is replaced by the survivor", family.loser)
    return broken


async def _things_kept(
    admin: Any, verdict: Verdict, families: Sequence[Family], records: dict[str, tuple[UUID, list[Any]]]
) -> None:
    rows = await admin.fetch("select body, patient_id from resource where type in ('Encounter', 'DiagnosticReport')")
    found = {orjson.loads(row["body"])["identifier"][0]["value"]: row["patient_id"] for row in rows}
    wanted = {
        number: records[family.owner(mrn)][0] if family.owner(mrn) in records else None
        for family in families
        for number, mrn in family.things.items()
    }
    wrong = [number for number in found.keys() | wanted.keys() if found.get(number) != wanted.get(number)]
    verdict.expect(not wrong, "I4 every visit and report belongs to the patient that the model says", *wrong)


async def _appointments_kept(admin: Any, verdict: Verdict, families: Sequence[Family]) -> None:
    rows = await admin.fetch(
        "select id, version, body from resource where type = 'Appointment'"
        " union all select id, version, body from resource_history where type = 'Appointment' order by 1, 2"
    )
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        body = orjson.loads(row["body"])
        starts = found[body["identifier"][0]["value"]]
        if body["start"] not in starts[-1:]:  # a merge moves an appointment and leaves its time
            starts.append(body["start"])
    wanted = {number: starts for family in families for number, starts in family.starts.items()}
    wrong = [
        number
        for number in found.keys() | wanted.keys()
        if len(found.get(number, [])) != len(wanted.get(number, [])) or found[number] != sorted(found[number])
    ]
    verdict.expect(not wrong, "I4 every appointment has the times it was given, in their order", *wrong)
    verdict.figures["appointments"] = len(found)


async def _told_once(admin: Any, verdict: Verdict, requests: Sequence[Request]) -> None:
    """I5."""
    told: dict[UUID, set[bytes]] = defaultdict(set)
    for request in requests:
        told[from_prefixed("evt", request.id)].add(request.body_hash)
    rows = await admin.fetch(
        "select e.id, e.type, d.state from event e left join delivery d on d.event_id = e.id where e.mode = 'live'"
    )
    events = {row["id"]: row for row in rows}
    untold = [tuple(row) for id_, row in events.items() if id_ not in told]
    verdict.expect(not untold, "I5 every live event is delivered", *untold)
    verdict.expect(not told.keys() - events.keys(), "I5 nothing else is delivered", *(told.keys() - events.keys()))
    changed = [event for event, bodies in told.items() if len(bodies) > 1]
    verdict.expect(not changed, "I5 an event has one body at every attempt", *changed)
    unsigned = [request.id for request in requests if not request.valid]
    verdict.expect(not unsigned, "I5 every request is signed", *unsigned)
    undelivered = await admin.fetch("select event_id, state from delivery where state <> 'delivered'")
    verdict.expect(not undelivered, "I5 every delivery is delivered", *(tuple(row) for row in undelivered))
    verdict.figures |= {"events": len(events), "requests": len(requests), "repeated": len(requests) - len(told)}


async def _audited(admin: Any, verdict: Verdict, callers: Sequence[Caller | FhirCaller]) -> None:
    """The audit row of an answer is committed before the answer leaves."""
    answered = [request_id for caller in callers for request_id in caller.answered]
    rows = await admin.fetch("select request_id from audit where request_id = any($1)", answered)
    missing = set(answered) - {row["request_id"] for row in rows}
    verdict.expect(not missing, "every answer of the API has its audit row", *missing)
    refused = [status for caller in callers for status in caller.statuses if status not in caller.may_answer]
    verdict.expect(not refused, "the API answers, or says that it is unable, or is away", *refused)
    verdict.figures |= {"calls": len(answered), "unaudited": len(missing)}


def _without_meta(body: str) -> Any:
    told = orjson.loads(body)
    told.pop("meta", None)
    return told


def _numbers(body: Any) -> list[str]:
    return [identifier["value"] for identifier in body["identifier"]]


def _phone(body: Any) -> str:
    return next((point["value"] for point in body.get("telecom", ())), "")
