"""Visits through the whole path (domain-rules.md section 5); the event table itself: tests/unit/record/test_visits.py."""

from typing import Any

from tests.integration.feed import Feed, hl7, pid


def pv1(
    ended: str = "", *, place: str = "W1^101^1^HOSP", prior: str = "", disposition: str = "", kind: str = "I"
) -> str:
    fields = {
        1: "1",
        2: kind,
        3: place,
        6: prior,
        19: "V77^^^HOSP^VN",
        36: disposition,
        44: "20260301080000",
        45: ended,
    }
    return "PV1|" + "|".join(fields.get(number, "") for number in range(1, 46))


def evn(happened: str) -> str:
    return f"EVN||{happened}||||{happened}"


async def places(feed: Feed) -> list[tuple[str, str]]:
    names = {f"Location/{body['id']}": body["name"] for body in await feed.bodies("Location")}
    visit = await feed.body("Encounter")
    return [(names[item["location"]["reference"]], item["status"]) for item in visit.get("location", [])]


async def versions(feed: Feed) -> int:
    [row] = await feed.rows("select version from resource where type = 'Encounter'")
    return int(row["version"])


def course(visit: dict[str, Any]) -> dict[str, Any]:
    """What a visit says of its course."""
    kept = ("status", "statusHistory", "class", "classHistory", "location", "period", "hospitalization")
    return {name: visit.get(name) for name in kept}


async def test_an_update_never_changes_a_visit_s_status(feed: Feed) -> None:
    await feed.send(hl7("ADT^A01", pid(), pv1()))
    await feed.send(hl7("ADT^A08", pid(), pv1("20260305100000"), at="20260305120000"))
    visit = await feed.body("Encounter")
    assert visit["status"] == "in-progress"
    assert visit["period"]["end"].startswith("2026-03-05")


async def test_a_stay_from_announcement_to_discharge_keeps_its_history_and_tells_each_step(feed: Feed) -> None:
    await feed.send(hl7("ADT^A05", pid(), pv1(kind="P"), at="20260228120000"))
    await feed.send(hl7("ADT^A01", pid(), pv1(), at="20260301080000"))
    moved = pv1(place="W2^201^1^HOSP", prior="W1^101^1^HOSP")
    await feed.send(hl7("ADT^A02", evn("20260302090000"), pid(), moved, at="20260302090100"))
    ended = pv1("20260304110000", place="W2^201^1^HOSP", disposition="01")
    await feed.send(hl7("ADT^A03", pid(), ended, at="20260304110500"))
    visit = await feed.body("Encounter")
    assert visit["status"] == "finished"
    assert [item["status"] for item in visit["statusHistory"]] == ["planned", "in-progress"]
    assert [item["class"]["code"] for item in visit["classHistory"]] == ["PRENC"]
    assert visit["period"]["end"] == "2026-03-04T11:00:00+01:00"
    assert visit["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "01"
    assert await places(feed) == [("W2 201 1", "completed"), ("W1 101 1", "completed")]
    last, first = (item["period"] for item in visit["location"])
    assert last == {"start": "2026-03-02T08:00:00.000Z", "end": "2026-03-04T11:00:00+01:00"}
    assert first["end"] == last["start"]
    told = [event for event in await feed.events() if event.startswith("encounter.")]
    assert told == ["encounter.created", "encounter.planned", "encounter.admitted", "encounter.transferred",
                    "encounter.discharged"]  # fmt: skip


async def test_an_update_after_the_discharge_does_not_open_the_visit_again(feed: Feed) -> None:
    await feed.send(hl7("ADT^A01", pid(), pv1()), hl7("ADT^A03", pid(), pv1("20260304110000"), at="20260304110500"))
    await feed.send(hl7("ADT^A08", pid(), pv1(), at="20260305090000"))
    visit = await feed.body("Encounter")
    assert (visit["status"], visit["period"]["end"]) == ("finished", "2026-03-04T11:00:00+01:00")


async def test_a_cancelled_discharge_is_as_if_it_had_never_been(feed: Feed) -> None:
    await feed.send(hl7("ADT^A01", pid(), pv1()))
    before = course(await feed.body("Encounter"))
    ended = pv1("20260304110000", disposition="01")
    await feed.send(hl7("ADT^A03", pid(), ended, at="20260304110500"))
    await feed.send(hl7("ADT^A08", pid(), ended, at="20260304113000"))
    await feed.send(hl7("ADT^A13", pid(), pv1(), at="20260304120000"))
    assert course(await feed.body("Encounter")) == before
    assert "encounter.discharge_cancelled" in await feed.events()


async def test_late_messages_end_where_those_in_order_end(feed: Feed) -> None:
    transfer = hl7("ADT^A02", pid(), pv1(place="W2^201^1^HOSP", prior="W1^101^1^HOSP"), at="20260302090000")
    discharge = hl7("ADT^A03", pid(), pv1("20260304110000", place="W2^201^1^HOSP"), at="20260304110500")
    await feed.send(discharge, hl7("ADT^A01", pid(), pv1(), at="20260301080000"), transfer)
    visit = await feed.body("Encounter")
    assert visit["status"] == "finished"
    assert [item["status"] for item in visit["statusHistory"]] == ["in-progress"]
    assert await places(feed) == [("W2 201 1", "completed"), ("W1 101 1", "completed")]


async def test_the_same_event_again_makes_no_version(feed: Feed) -> None:
    message = hl7("ADT^A01", pid(), pv1())
    await feed.send(message)
    await feed.send(hl7("ADT^A01", pid(), pv1()))
    assert await versions(feed) == 1


async def test_two_sources_that_tell_one_moment_differently_are_a_case_for_a_person(feed: Feed) -> None:
    await feed.send(hl7("ADT^A01", pid(), pv1()))
    other = await feed.other_source()
    await feed.send(hl7("ADT^A03", pid(), pv1("20260301120000")), source=other)
    assert (await feed.body("Encounter"))["status"] == "in-progress"
    assert [(review["kind"], review["detail"]) for review in await feed.reviews()] == [
        ("tie", {"elements": ["status"]})
    ]


async def test_a_visit_that_was_stored_before_goes_on_from_where_it_stands(feed: Feed) -> None:
    await feed.send(hl7("ADT^A01", pid(), pv1()))
    await feed.rows("update resource set lineage = regexp_replace(lineage, ',\"m\":.*', '}') where type = 'Encounter'")
    await feed.send(hl7("ADT^A02", pid(), pv1(place="W2^201^1^HOSP"), at="20260302090000"))
    assert (await feed.body("Encounter"))["status"] == "in-progress"
    assert await places(feed) == [("W2 201 1", "active"), ("W1 101 1", "completed")]
