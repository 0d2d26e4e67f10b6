"""Documents through the whole path: MDM and the ED of ORU, contents stored once (issue 3, item 5)."""

import hashlib
from base64 import b64encode
from typing import Any

from tests.integration.feed import Feed, hl7, pid

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n%%EOF\n"


def ed(data: bytes = PDF, *, code: str = "PDF^Letter^L", kind: str = "^AP^PDF^Base64", status: str = "F") -> str:
    return f"OBX|1|ED|{code}||{kind}^{b64encode(data).decode()}||||||{status}"


def txa(number: str = "D1", *, parent: str = "", completion: str = "AU", availability: str = "AV") -> str:
    fields = {1: "1", 2: "DS", 3: "AP", 6: "20260301100000", 9: "1234^Okafor^Ife^^^Dr^^^NPI", 12: f"{number}^HOSP",
              13: f"{parent}^HOSP" if parent else "", 17: completion, 19: availability, 25: "Discharge summary"}  # fmt: skip
    return "TXA|" + "|".join(fields.get(number, "") for number in range(1, 26))


def text(*lines: str) -> list[str]:
    return [f"OBX|{at}|TX|NOTE^Note^L||{line}||||||F" for at, line in enumerate(lines, 1)]


def report(*results: str, filler: str = "L1", status: str = "F", at: str = "20260301100000") -> list[str]:
    obr = f"OBR|1|P1^HUB|{filler}^LAB|24323-8^CMP^LN|||20260301080000" + "|" * 15 + f"{at}|||{status}"
    return [pid(), f"ORC|RE|P1^HUB|{filler}^LAB", obr, *results]


async def contents(feed: Feed) -> list[dict[str, Any]]:
    return await feed.rows("select id, sha256, media_type, size_bytes, data from content order by created_at, id")


async def test_a_document_is_found_by_its_number_and_its_content_stands_apart(feed: Feed) -> None:
    visit = "PV1|1|I|W1^101^1^HOSP" + "|" * 16 + "V77^^^HOSP^VN"
    await feed.send(hl7("ADT^A01", pid(), visit))
    await feed.send(hl7("MDM^T02", pid(), visit, txa(), ed()))
    document, patient = await feed.body("DocumentReference"), await feed.body("Patient")
    [attachment] = [item["attachment"] for item in document["content"]]
    assert document["subject"]["reference"] == f"Patient/{patient['id']}"
    assert (document["status"], document["docStatus"]) == ("current", "final")
    assert document["type"]["coding"][0] == {"system": "http://terminology.hl7.org/CodeSystem/v2-0270", "code": "DS",
                                             "display": "Discharge summary"}  # fmt: skip
    encounter = await feed.body("Encounter")
    assert document["context"]["encounter"][0]["reference"] == f"Encounter/{encounter['id']}"
    [content] = await contents(feed)
    assert attachment == {
        "contentType": "application/pdf", "url": f"Binary/{content['id']}", "size": len(PDF), "title": "Letter",
        "hash": b64encode(hashlib.sha1(PDF, usedforsecurity=False).digest()).decode(),
    }  # fmt: skip
    assert (content["data"], content["sha256"]) == (PDF, hashlib.sha256(PDF).digest())
    assert "document.received" in await feed.events()


async def test_the_same_document_from_two_feeds_for_two_patients_is_stored_once(feed: Feed) -> None:
    await feed.send(hl7("MDM^T02", pid(), txa("D1"), ed()), hl7("MDM^T02", pid("1002", "Ek^Bo"), txa("D2"), ed()))
    other = await feed.other_source()
    await feed.send(hl7("ORU^R01", *report(ed())), source=other)
    assert len(await contents(feed)) == 1
    links = await feed.rows("select resource_type from content_link order by resource_type")
    assert [row["resource_type"] for row in links] == ["DiagnosticReport", *["DocumentReference"] * 3]


async def test_a_document_in_a_report_is_shown_by_the_report_and_no_observation(feed: Feed) -> None:
    await feed.send(hl7("ORU^R01", *report("OBX|2|NM|2345-7^Glucose^LN||72|mg/dL|||||F", ed())))
    result, document = await feed.body("DiagnosticReport"), await feed.body("DocumentReference")
    assert result["presentedForm"] == [item["attachment"] for item in document["content"]]
    assert document["context"]["related"] == [{"reference": f"DiagnosticReport/{result['id']}"}]
    assert len(await feed.bodies("Observation")) == 1


async def test_a_correction_without_the_document_keeps_it_and_a_late_preliminary_one_does_not_undo_it(
    feed: Feed,
) -> None:
    final, early = PDF + b"final", PDF + b"preliminary"
    await feed.send(hl7("ORU^R01", *report(ed(final)), at="20260301100000"))
    await feed.send(
        hl7("ORU^R01", *report("OBX|2|NM|2345-7^Glucose^LN||80|mg/dL|||||C", status="C"), at="20260301110000")
    )
    await feed.send(
        hl7("ORU^R01", *report(ed(early, status="P"), status="P", at="20260301090000"), at="20260301120000")
    )
    result, document = await feed.body("DiagnosticReport"), await feed.body("DocumentReference")
    assert result["presentedForm"][0]["size"] == document["content"][0]["attachment"]["size"] == len(final)


async def test_lines_of_text_are_one_document(feed: Feed) -> None:
    await feed.send(hl7("MDM^T02", pid(), txa(), *text("First line", "", "Third~and fourth")))
    [content] = await contents(feed)
    assert content["data"].decode() == "First line\n\nThird\nand fourth"
    assert content["media_type"] == "text/plain; charset=utf-8"


async def test_a_replacement_supersedes_and_an_addendum_does_not(feed: Feed) -> None:
    await feed.send(hl7("MDM^T02", pid(), txa("D1"), *text("one"), at="20260301100000"))
    await feed.send(hl7("MDM^T06", pid(), txa("D2", parent="D1"), *text("two"), at="20260301110000"))
    first, addendum = await feed.bodies("DocumentReference")
    assert first["status"] == "current"
    assert addendum["relatesTo"][0]["code"] == "appends"
    await feed.send(hl7("MDM^T10", pid(), txa("D3", parent="D1"), *text("three"), at="20260301120000"))
    first, _, replacement = await feed.bodies("DocumentReference")
    assert first["status"] == "superseded"
    assert replacement["relatesTo"][0] == {
        "code": "replaces",
        "target": {"identifier": {"system": "urn:chartwire:authority:HOSP", "value": "D1"},
                   "reference": f"DocumentReference/{first['id']}"},
    }  # fmt: skip
    assert "document.superseded" in await feed.events()


async def test_a_notice_without_content_changes_the_state_and_keeps_the_content(feed: Feed) -> None:
    await feed.send(hl7("MDM^T02", pid(), txa(completion="IP"), ed(), at="20260301100000"))
    await feed.send(hl7("MDM^T03", pid(), txa(completion="LA"), at="20260301110000"))
    document = await feed.body("DocumentReference")
    assert document["docStatus"] == "final"
    assert document["content"][0]["attachment"]["size"] == len(PDF)
    await feed.send(hl7("MDM^T11", pid(), txa(), at="20260301120000"))
    document = await feed.body("DocumentReference")
    assert (document["status"], document["docStatus"]) == ("entered-in-error", "entered-in-error")
    assert "document.withdrawn" in await feed.events()


async def test_a_document_only_finds_the_patient_or_makes_a_provisional_one_and_opens_no_visit(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), at="20260301090000"))
    visit = "PV1|1|I|W1^101^1^HOSP" + "|" * 16 + "V78^^^HOSP^VN"
    await feed.send(hl7("MDM^T02", pid(name="Weber^Anna", f13="555-1234"), visit, txa(), ed(), at="20260301100000"))
    assert "telecom" not in await feed.body("Patient")
    assert await feed.bodies("Encounter") == []
    await feed.send(hl7("MDM^T02", pid("2002", "Ek^Bo"), txa("D9"), ed(), at="20260301100000"))
    tags = [body["meta"].get("tag", [{}])[0].get("code") for body in await feed.bodies("Patient")]
    assert tags == [None, "provisional"]


async def test_what_cannot_be_decoded_leaves_a_finding_and_the_message_keeps_it(feed: Feed) -> None:
    broken = "OBX|1|ED|PDF^Letter^L||^AP^PDF^Base64^JVBERi0x*****||||||F"
    [message_id] = await feed.send(hl7("MDM^T02", pid(), txa(), broken))
    document = await feed.body("DocumentReference")
    assert document["content"] == [{"attachment": {"contentType": "application/pdf", "title": "Letter"}}]
    assert await contents(feed) == []
    [row] = await feed.rows("select outcome from message where id = $1", message_id)
    assert "document_undecodable" in row["outcome"]
    [raw] = await feed.rows("select raw from message_body where id = $1", message_id)
    assert broken.encode() in raw["raw"]


async def test_a_replay_stores_nothing_twice_and_a_preview_nothing_at_all(feed: Feed) -> None:
    await feed.send(hl7("MDM^T02", pid(), txa(), ed()), mode="preview")
    assert await contents(feed) == []
    message = hl7("MDM^T02", pid(), txa(), ed())
    await feed.send(message)
    await feed.send(message.replace(b"MDM^T02|C", b"MDM^T02|X"))
    assert len(await contents(feed)) == 1
