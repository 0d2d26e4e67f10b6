"""Results through the whole path (domain-rules.md section 7)."""

from typing import Any

from tests.integration.feed import Feed, hl7, pid

GLUCOSE = "2345-7^Glucose^LN"
CREATININE = "2160-0^Creatinine^LN"


def obx(code: str, value: str, status: str, number: int = 1) -> str:
    return f"OBX|{number}|NM|{code}||{value}|mg/dL|||||{status}"


def oru(*results: str, status: str = "F", reported: str = "20260309120000", at: str = "20260309120500") -> bytes:
    obr = "OBR|1|PL1^HUB|FL1^LAB|24323-8^CMP^LN|||20260309080000" + "|" * 15 + f"{reported}|||{status}"
    return hl7("ORU^R01", pid(), "ORC|RE|PL1^HUB|FL1^LAB", obr, *results, at=at)


async def values(feed: Feed) -> dict[str, tuple[str, Any]]:
    return {
        body["code"]["coding"][0]["code"]: (body["status"], body.get("valueQuantity", {}).get("value"))
        for body in await feed.bodies("Observation")
    }


async def test_a_result_makes_a_report_with_its_observations(feed: Feed) -> None:
    await feed.send(oru(obx(GLUCOSE, "95.50", "F"), obx(CREATININE, "1.1", "F", 2)))
    report = await feed.body("DiagnosticReport")
    observations = {f"Observation/{body['id']}" for body in await feed.bodies("Observation")}
    assert {result["reference"] for result in report["result"]} == observations
    assert "result.received" in await feed.events()


async def test_a_number_keeps_the_digits_that_the_laboratory_wrote(feed: Feed) -> None:
    await feed.send(oru(obx(GLUCOSE, "95.50", "F")))
    [row] = await feed.rows("select body from resource where type = 'Observation'")
    assert '"value":95.50' in row["body"]


async def test_a_correction_with_one_result_keeps_the_others(feed: Feed) -> None:
    await feed.send(oru(obx(GLUCOSE, "95", "F"), obx(CREATININE, "1.1", "F", 2)))
    await feed.send(oru(obx(GLUCOSE, "59", "C"), status="C", reported="20260310080000", at="20260310080500"))
    assert await values(feed) == {"2345-7": ("corrected", 59), "2160-0": ("final", 1.1)}
    assert len((await feed.body("DiagnosticReport"))["result"]) == 2
    assert "observation.corrected" in await feed.events()


async def test_the_place_of_a_result_in_the_message_is_no_identity(feed: Feed) -> None:
    await feed.send(oru(obx(GLUCOSE, "95", "F", 1), obx(CREATININE, "1.1", "F", 2)))
    later = {"reported": "20260310080000", "at": "20260310080500"}
    await feed.send(oru(obx(CREATININE, "1.2", "C", 1), obx(GLUCOSE, "96", "C", 2), status="C", **later))
    assert await values(feed) == {"2345-7": ("corrected", 96), "2160-0": ("corrected", 1.2)}


async def test_a_withdrawn_result_is_entered_in_error_and_told(feed: Feed) -> None:
    await feed.send(oru(obx(GLUCOSE, "95", "F")))
    await feed.send(oru(obx(GLUCOSE, "", "D"), status="C", reported="20260310080000", at="20260310080500"))
    assert (await values(feed))["2345-7"][0] == "entered-in-error"
    assert "result.withdrawn" in await feed.events()


async def test_an_older_preliminary_word_never_undoes_a_final_one(feed: Feed) -> None:
    await feed.send(oru(obx(GLUCOSE, "95", "F"), at="20260309120500"))
    await feed.send(oru(obx(GLUCOSE, "90", "P"), status="P", reported="20260309100000", at="20260309130000"))
    assert await values(feed) == {"2345-7": ("final", 95)}
    assert (await feed.body("DiagnosticReport"))["status"] == "final"


async def test_a_result_creates_a_provisional_patient_and_no_visit(feed: Feed) -> None:
    await feed.send(oru(obx(GLUCOSE, "95", "F")))
    assert (await feed.body("Patient"))["meta"]["tag"][0]["code"] == "provisional"
    assert await feed.bodies("Encounter") == []


async def test_a_result_for_another_person_under_the_number_is_held(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(name="Okafor^Chidi", born="19911130", sex="M")))
    [held] = await feed.send(oru(obx(GLUCOSE, "95", "F")))
    assert await feed.states(held) == [("held", "identifier_matches_another_person")]
    assert await feed.bodies("Observation") == []
