"""Messages that speak of several patients: each resource belongs to its own."""

from tests.integration.feed import Feed, hl7, pid


def results(person: str, number: str) -> list[str]:
    obr = f"OBR|1|PL{number}^HUB|FL{number}^LAB|24323-8^CMP^LN|||20260309080000" + "|" * 15 + "20260309120000|||F"
    obx = f"OBX|1|NM|2345-7^Glucose^LN||{number}|mg/dL|||||F"
    return [person, f"ORC|RE|PL{number}^HUB|FL{number}^LAB", obr, obx]


async def test_each_result_belongs_to_the_patient_of_its_own_group(feed: Feed) -> None:
    anna, eva = pid("1001"), pid("2002", name="Koch^Eva", born="19900405")
    message = [*results(anna, "1"), *results(eva, "2")]
    ids = await feed.send(hl7("ORU^R01", *message, at="20260309"), hl7("ORU^R01", *message, at="20260310"))
    assert await feed.states(*ids) == [("processed", None)] * 2
    rows = await feed.rows("select patient_id, body from resource where type = 'Observation'")
    assert len({row["patient_id"] for row in rows}) == 2
    assert all(f'"Patient/{row["patient_id"]}"' in row["body"] for row in rows)


async def test_a_patient_named_twice_is_made_once(feed: Feed) -> None:
    anna = pid("1001")
    await feed.send(hl7("ORU^R01", *results(anna, "1"), *results(anna, "2"), at="20260309"))
    assert len(await feed.bodies("Patient")) == 1
