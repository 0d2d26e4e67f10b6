"""A small clinic with something of everything in it: messages that were carried, dead and held ones, a document, a
merge, a review, alerts, a receiver."""

from base64 import b64encode
from datetime import timedelta
from uuid import UUID

from tests.integration.alerts.watched import Watched
from tests.integration.feed import Feed, hl7, pid

from chartwire.channels import halts
from chartwire.core.access import Access
from chartwire.core.clock import instant, now
from chartwire.core.ids import to_prefixed
from simulators.webhook_sink import WebhookSink

LETTER = b64encode(b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n%%EOF\n").decode()
TXA = "TXA|1|DS|AP|||20260301100000|||1234^Okafor^Ife^^^Dr|||D1^HOSP|||||AU||AV||||||Discharge summary"


async def filled(pool, engine_pool, org: UUID) -> dict[str, str]:
    """Fill an organisation; its things by the names that the story of examples gives them."""
    async with pool.transaction(org) as tx:
        await tx.execute("update organisation set kind = 'sandbox' where org_id = $1", org)
    feed = await Feed(pool, engine_pool, org).open()
    letter = f"OBX|1|ED|PDF^Letter^L||^AP^PDF^Base64^{LETTER}||||||F"
    [message, *_] = await feed.send(
        hl7("ADT^A04", pid(), "PV1|1|O|WARD^1^2"),
        hl7("ADT^A04", pid("2001", "Lind^Erik", "19700505", "M")),
        hl7("ADT^A04", pid("2002", "Lind^Erik", "19700505", "M")),
        hl7("MDM^T02", pid(), TXA, letter),
        hl7("ADT^A08", pid("1001", "Petrov^Igor", "19441231", "M")),
    )
    await feed.send(hl7("ADT^A40", pid("2001", "Lind^Erik", "19700505", "M"), "MRG|2002^^^HOSP^MR"))
    dead = await feed.send(
        *(hl7("ADT^A04", "PID|1", control_id=f"E{number}") for number in range(4)), hl7("ADT^A40", pid("3001"))
    )
    stuck = await _stuck(feed)
    await Watched(pool, engine_pool, org).look(now())
    return {
        "message": to_prefixed("msg", message),
        **{f"dead_{number}": to_prefixed("msg", one) for number, one in zip("abc", dead, strict=False)},
        "stuck": to_prefixed("msg", stuck),
        **await _things(feed, message),
        "yesterday": instant(now() - timedelta(days=1)),
        "tonight": instant(now() + timedelta(hours=12)),
    }


async def receiver() -> WebhookSink:
    """A webhook receiver on this machine."""
    return await WebhookSink([]).serve("127.0.0.1", 0)


async def _stuck(feed: Feed) -> UUID:
    """A message at the head of a lane that stands still, since its source is on hold."""
    held = await feed.other_source()
    operator = Access(feed.org, "key:operator", "HOPERAT", frozenset({"*"}))
    async with feed.pool.transaction(feed.org) as tx:
        await halts.begin(tx, operator, held.id, "hold", "the laboratory changes its system")
    [message] = await feed.send(hl7("ADT^A08", pid("4001")), source=held)
    return message


async def _things(feed: Feed, message: UUID) -> dict[str, str]:
    async def one(sql, *args):
        return (await feed.rows(sql, *args))[0]["id"]

    patient = await one("select patient_id as id from message where id = $1", message)
    return {
        "fed_patient": str(patient),
        "documented": to_prefixed("pat", patient),
        "merged": to_prefixed("pat", await one("select loser_id as id from merge")),
        "review": to_prefixed("rev", await one("select id from review order by id limit 1")),
        "content": str(await one("select id from content")),
    }
