"""Practitioners, locations, organizations: shared, and told by many messages at once."""

from tests.integration.feed import Feed, hl7, pid

from chartwire.record.directory import Directory


def visit(number: str, doctor: str) -> str:
    return f"PV1|1|I|||||{doctor}||||||||||||{number}^^^HOSP^VN"


async def test_a_message_that_names_only_the_number_takes_no_name_away(feed: Feed) -> None:
    await feed.send(
        hl7("ADT^A01", pid("1001"), visit("V1", "D7^Bauer^Eva^^^^^^HOSP")),
        hl7("ADT^A01", pid("1002"), visit("V2", "D7^^^^^^^^HOSP"), at="20260301120001"),
    )
    assert (await feed.body("Practitioner"))["name"][0]["family"] == "Bauer"


async def test_a_name_that_changes_back_is_seen_by_every_worker(feed: Feed) -> None:
    other = Feed(feed.pool, feed.engine_pool, feed.org)
    other.sources.update(feed.sources)
    names = [(feed, "Bauer"), (other, "Bauer-Koch"), (feed, "Bauer")]
    for worker in (feed, other):
        worker.path.directory = Directory(told_again_s=0.0)
    for number, (worker, name) in enumerate(names):
        await feed.store(
            hl7("ADT^A01", pid(), visit(f"V{number}", f"D7^{name}^Eva^^^^^^HOSP"), at=f"2026030{number + 1}")
        )
        await worker.work()
    assert (await feed.body("Practitioner"))["name"][0]["family"] == "Bauer"
