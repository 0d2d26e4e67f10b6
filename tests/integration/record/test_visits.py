"""Visits through the whole path (domain-rules.md section 5)."""

from tests.integration.feed import Feed, hl7, pid


def pv1(ended: str = "") -> str:
    return "PV1|1|I|W1^101^1^HOSP" + "|" * 16 + "V77^^^HOSP^VN" + "|" * 25 + f"20260301080000|{ended}"


async def test_an_update_never_changes_a_visit_s_status(feed: Feed) -> None:
    await feed.send(hl7("ADT^A01", pid(), pv1()))
    await feed.send(hl7("ADT^A08", pid(), pv1("20260305100000"), at="20260305120000"))
    visit = await feed.body("Encounter")
    assert visit["status"] == "in-progress"
    assert visit["period"]["end"].startswith("2026-03-05")
