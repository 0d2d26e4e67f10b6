"""AL1, DG1, NK1, IN1: snapshots per source (domain-rules.md section 2)."""

from typing import Any

from tests.integration.feed import Feed, hl7, pid

PENICILLIN = "AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives"
LATEX = "AL1|2|MA|111088007^Latex^SCT|MO|Rash"


def clinical(bodies: list[dict[str, Any]]) -> dict[str, str]:
    return {body["code"]["coding"][0]["code"]: body["clinicalStatus"]["coding"][0]["code"] for body in bodies}


async def test_what_a_snapshot_leaves_out_becomes_inactive_with_that_message_as_the_reason(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN, LATEX))
    [second] = await feed.send(hl7("ADT^A08", pid(), PENICILLIN, at="20260302"))
    assert clinical(await feed.bodies("AllergyIntolerance")) == {"70618": "active", "111088007": "inactive"}
    [row] = await feed.rows("select message_id from resource where type = 'AllergyIntolerance' and version = 2")
    assert row["message_id"] == second


async def test_a_message_without_the_segment_type_changes_nothing(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN))
    await feed.send(hl7("ADT^A08", pid(), at="20260302"))
    assert clinical(await feed.bodies("AllergyIntolerance")) == {"70618": "active"}


async def test_one_segment_of_two_quotes_clears_the_list(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN, LATEX))
    await feed.send(hl7("ADT^A08", pid(), 'AL1|1|""|""|""|""', at="20260302"))
    assert set(clinical(await feed.bodies("AllergyIntolerance")).values()) == {"inactive"}


async def test_what_comes_back_is_active_again(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN, LATEX))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, at="20260302"))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, LATEX, at="20260303"))
    assert set(clinical(await feed.bodies("AllergyIntolerance")).values()) == {"active"}


async def test_the_same_list_again_makes_no_new_version(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN, "NK1|1|Weber^Karl|SPO^Spouse"))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, "NK1|1|Weber^Karl|SPO^Spouse", at="20260302"))
    rows = await feed.rows("select version from resource where type in ('AllergyIntolerance', 'RelatedPerson')")
    assert [row["version"] for row in rows] == [1, 1]


async def test_another_source_s_list_is_its_own(feed: Feed) -> None:
    other = await feed.other_source()
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN, LATEX))
    await feed.send(hl7("ADT^A08", pid(), LATEX, at="20260302"), source=other)
    assert clinical(await feed.bodies("AllergyIntolerance"))["70618"] == "active"


async def test_a_late_snapshot_does_not_end_what_was_told_since(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN, at="20260301100000"))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, LATEX, at="20260301140000"))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, at="20260301120000"))
    assert clinical(await feed.bodies("AllergyIntolerance")) == {"70618": "active", "111088007": "active"}


async def test_next_of_kin_and_insurance_end_in_their_own_words(feed: Feed) -> None:
    insured = "IN1|1|PLAN01^Basic|INS001|Payer Co||||GRP1" + "|" * 28 + "POL-1"
    await feed.send(hl7("ADT^A04", pid(), "NK1|1|Weber^Karl|SPO^Spouse", insured))
    other = insured.replace("PLAN01", "PLAN02").replace("POL-1", "POL-2")
    await feed.send(hl7("ADT^A08", pid(), "NK1|1|Weber^Lena|CHD^Child", other, at="20260302"))
    assert sorted(body["active"] for body in await feed.bodies("RelatedPerson")) == [False, True]
    assert sorted(body["status"] for body in await feed.bodies("Coverage")) == ["active", "cancelled"]


async def test_a_late_snapshot_keeps_in_the_list_what_it_may_not_end(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN, at="20260301100000"))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, LATEX, at="20260301140000"))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, at="20260301120000"))
    await feed.send(hl7("ADT^A08", pid(), PENICILLIN, at="20260301160000"))
    assert clinical(await feed.bodies("AllergyIntolerance")) == {"70618": "active", "111088007": "inactive"}


def dg1(code: str, action: str) -> str:
    return f"DG1|1||{code}^Diagnosis^I10|||F" + "|" * 15 + action


async def test_an_action_code_ends_a_diagnosis_that_no_list_named_before(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), dg1("E11", "A"), dg1("I10", "A")))
    await feed.send(hl7("ADT^A08", pid(), dg1("I10", "D"), dg1("J45", "D"), at="20260302"))
    told = {
        body["code"]["coding"][0]["code"]: (
            body.get("clinicalStatus", {}).get("coding", [{}])[0].get("code"),
            body.get("verificationStatus", {}).get("coding", [{}])[0].get("code"),
        )
        for body in await feed.bodies("Condition")
    }
    withdrawn = (None, "entered-in-error")
    assert told == {"E11": ("active", None), "I10": withdrawn, "J45": withdrawn}


def iam(code: str, action: str = "", unique: str = "") -> str:
    return f"IAM|1|DA|{code}|SV|Hives|{action}|{unique}"


async def test_adverse_reactions_are_a_list_where_no_entry_names_an_action(feed: Feed) -> None:
    await feed.send(hl7("ADT^A60", pid(), iam("70618^Penicillin^RXNORM"), iam("111088007^Latex^SCT")))
    await feed.send(hl7("ADT^A60", pid(), iam("70618^Penicillin^RXNORM"), at="20260302"))
    assert clinical(await feed.bodies("AllergyIntolerance")) == {"70618": "active", "111088007": "inactive"}


async def test_an_action_changes_only_the_adverse_reaction_that_it_names(feed: Feed) -> None:
    await feed.send(hl7("ADT^A60", pid(), iam("70618^Penicillin^RXNORM", "A"), iam("111088007^Latex^SCT", "A")))
    await feed.send(hl7("ADT^A60", pid(), iam("70618^Penicillin^RXNORM", "D"), at="20260302"))
    assert clinical(await feed.bodies("AllergyIntolerance")) == {"70618": "inactive", "111088007": "active"}
    await feed.send(hl7("ADT^A60", pid(), iam("111088007^Latex^SCT", "X"), at="20260303"))
    assert clinical(await feed.bodies("AllergyIntolerance")) == {"70618": "inactive", "111088007": "active"}


async def test_an_allergy_is_the_same_by_al1_and_iam_and_a60_sets_nothing_else(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), PENICILLIN))
    await feed.send(hl7("ADT^A60", pid(name="Weber^Ann", f13="555-1"), iam("70618^Penicillin^RXNORM", "U", "7^ALG")))
    allergy = await feed.body("AllergyIntolerance")
    assert allergy["identifier"] == [{"system": "urn:chartwire:authority:ALG", "value": "7"}]
    patient = await feed.body("Patient")
    assert ("telecom" in patient, patient["name"][0]["given"]) == (False, ["Anna"])


async def test_what_a_list_of_procedures_leaves_out_was_an_error(feed: Feed) -> None:
    first, second = "PR1|1||47562^Removal^C4||20260301", "PR1|2||93000^Tracing^C4||20260301"
    await feed.send(hl7("ADT^A08", pid(), first, second))
    await feed.send(hl7("ADT^A08", pid(), second, at="20260302"))
    assert [body["status"] for body in await feed.bodies("Procedure")] == ["entered-in-error", "unknown"]
