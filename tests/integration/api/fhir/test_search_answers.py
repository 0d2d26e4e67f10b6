"""What a search gives back: pages, links, totals, included resources, parts of them."""

import base64
import json

from tests.integration.api.fhir.stored import FHIR, found, link, named, observation, patient, put, walked

SUBSETTED = "SUBSETTED"
INCLUSIONS = [
    ("Patient?_id=p1&_include=Patient:organization", ["Organization/clinic"]),
    ("Patient?_include=Patient:general-practitioner:Practitioner", ["Practitioner/dr"]),
    ("Patient?_include=Patient:general-practitioner:Organization", []),
    ("Patient?_include=Patient:*", ["Organization/clinic", "Practitioner/dr"]),
    ("Observation?_id=o1&_include=*", ["Patient/p1", "Practitioner/dr"]),
    ("Observation?_id=o1&_include=Observation:patient", ["Patient/p1"]),
    ("Observation?_id=o1&_include=Observation:subject:Device", []),
    ("Observation?_id=o4&_include=Observation:derived-from", ["Observation/o1"]),
    ("Observation?_id=o5&_include=Observation:derived-from", ["Observation/o4"]),
    ("Observation?_id=o5&_include:iterate=Observation:derived-from", ["Observation/o1", "Observation/o4"]),
    (
        "Observation?_id=o1&_include=Observation:subject&_include:iterate=Patient:organization",
        ["Organization/clinic", "Patient/p1"],
    ),
    ("Observation?_id=o1&_include=Observation:subject&_include=Patient:organization", ["Patient/p1"]),
    ("Patient?_id=p1&_revinclude=Observation:subject", ["Observation/o1", "Observation/o2", "Observation/o3"]),
    ("Patient?_id=p2&_revinclude=Observation:subject:Patient", ["Observation/o4", "Observation/o5"]),
    ("Patient?_id=p2&_revinclude=Observation:subject:Group", []),
    ("Practitioner?_revinclude=Patient:*", ["Patient/p2"]),
    ("Organization?_revinclude=*", ["Patient/p1"]),
    ("Observation?_id=o1&_revinclude:iterate=Observation:derived-from", ["Observation/o4", "Observation/o5"]),
    ("Observation?_revinclude=Observation:derived-from", []),
]
PARTS = [
    ("_summary=true", {"resourceType", "id", "meta", "status", "code", "subject", "effectiveDateTime"}),
    ("_summary=text", {"resourceType", "id", "meta", "text", "status", "code"}),
    ("_summary=data", {"resourceType", "id", "meta", "status", "code", "subject", "effectiveDateTime", "note"}),
    ("_elements=effective,note", {"resourceType", "id", "meta", "status", "code", "effectiveDateTime", "note"}),
    ("_elements=Observation.subject", {"resourceType", "id", "meta", "status", "code", "subject"}),
]
WRONG_INCLUSIONS = [
    "_include=Observation",
    "_include=Observation:code",
    "_include=Observation:subject:Nonsense",
    "_include=Nonsense:subject",
    "_include=Observation:subject:Patient:more",
    "_include:exact=Observation:subject",
    "_revinclude=QuestionnaireResponse:questionnaire",
]


async def small_clinic(client):
    await put(
        client,
        {"resourceType": "Organization", "id": "clinic", "name": "Clinic"},
        {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Ng"}]},
        patient("p1", managingOrganization={"reference": "Organization/clinic"}),
        patient("p2", "Lind", generalPractitioner=[{"reference": "Practitioner/dr"}]),
        *(observation(f"o{n}", day=n, performer=[{"reference": "Practitioner/dr"}]) for n in (1, 2, 3)),
        observation("o4", "p2", day=4, derivedFrom=[{"reference": "Observation/o1/_history/1"}]),
        observation("o5", "p2", day=5, derivedFrom=[{"reference": "Observation/o4"}]),
    )


async def test_pages_are_walked_in_order_by_links_that_tell_nothing_of_what_was_asked(client):
    await small_clinic(client)
    bundles = await walked(client, "Observation?subject=Patient/p1&_sort=-date&_count=2&_total=accurate")
    assert [named(one) for one in bundles] == [["Observation/o3", "Observation/o2"], ["Observation/o1"]]
    assert [one["total"] for one in bundles] == [3, 3]
    asked = "subject=Patient/p1&_sort=-date&_count=2&_total=accurate"
    assert link(bundles[0], "self") == f"http://localhost/fhir/R4/Observation?{asked}"
    token = link(bundles[0], "next").partition("_page=")[2]
    assert b"Patient" not in base64.urlsafe_b64decode(token + "===")
    assert bundles[0]["entry"][0]["fullUrl"] == "http://localhost/fhir/R4/Observation/o3"


async def test_a_page_link_is_good_for_its_key_and_address_alone(client, other_client):
    await small_clinic(client)
    token = link(await found(client, "Observation?_count=1"), "next").partition("?")[2]
    for caller, path in ((other_client, "Observation"), (client, "Patient"), (client, "Patient/p1/Observation")):
        reply = await caller.get(f"{FHIR}/{path}?{token}")
        assert reply.status == 400
        assert reply.json["issue"][0]["details"]["coding"][0]["code"] == "page_token_mismatch"
    assert (await client.get(f"{FHIR}/Observation?{token}&code=x")).status == 400


async def test_a_form_finds_what_the_same_address_finds_and_both_together_do_too(client):
    await small_clinic(client)
    form = {"content-type": "application/x-www-form-urlencoded"}
    wanted = named(await found(client, "Observation?subject=Patient/p1&date=ge2026-01-02&_sort=date"))
    assert wanted == ["Observation/o2", "Observation/o3"]
    for query, body in (
        ("", b"subject=Patient%2Fp1&date=ge2026-01-02&_sort=date"),
        ("?subject=Patient/p1", b"date=ge2026-01-02&_sort=date&_format=json"),
        ("?subject=Patient/p1&date=ge2026-01-02&_sort=date", b""),
    ):
        reply = await client.call("POST", f"{FHIR}/Observation/_search{query}", body=body, headers=form)
        assert named(reply.json) == wanted
        assert link(reply.json, "self").startswith("http://localhost/fhir/R4/Observation?")
    wrong = await client.call("POST", f"{FHIR}/Observation/_search", body=b"{}", headers={"content-type": "text/xml"})
    assert wrong.status == 415


async def test_a_page_brings_along_what_it_refers_to_and_what_refers_to_it(client):
    await small_clinic(client)
    for query, included in INCLUSIONS:
        assert sorted(named(await found(client, query), "include")) == included, query


async def test_an_inclusion_that_cannot_be_is_refused_with_what_can(client):
    for inclusion in WRONG_INCLUSIONS:
        reply = await client.get(f"{FHIR}/Observation?{inclusion}")
        assert reply.status == 400, inclusion
        told = reply.json["issue"][0]["diagnostics"]
        assert "`_include`" in told or "`_revinclude`" in told


async def test_more_than_a_page_can_bear_is_told_and_not_given(client, monkeypatch):
    await small_clinic(client)
    monkeypatch.setattr("chartwire.api.fhir.search.FHIR_INCLUDED_MAX", 2)
    bundle = await found(client, "Patient?_revinclude=Observation:subject")
    assert len(named(bundle, "include")) == 2
    [outcome] = [one for one in bundle["entry"] if one["search"]["mode"] == "outcome"]
    assert outcome["resource"]["issue"][0]["code"] == "incomplete"
    again = await found(client, "Patient?_id=p2&_revinclude=Observation:subject")
    assert len(named(again, "include")) == 2
    assert not [one for one in again["entry"] if one["search"]["mode"] == "outcome"]


async def test_a_part_of_a_resource_is_given_and_marked_as_such(client):
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Pulse</div>'}
    whole = observation("o1", text=text, note=[{"text": "at rest"}])
    await put(client, patient("p1"), whole)
    for query, members in PARTS:
        for held in (
            (await found(client, f"Observation?{query}"))["entry"][0]["resource"],
            (await client.get(f"{FHIR}/Observation/o1?{query}")).json,
        ):
            assert set(held) == members, query
            assert [tag["code"] for tag in held["meta"]["tag"]] == [SUBSETTED]
    full = (await found(client, "Observation?_summary=false"))["entry"][0]["resource"]
    assert set(full) == set(whole) | {"meta"}
    assert "tag" not in full["meta"]


async def test_counts_come_without_entries_and_no_count_without_being_asked(client):
    await small_clinic(client)
    for query in ("_summary=count", "_count=0", "_count=0&_totalMethod=count"):
        bundle = await found(client, f"Observation?subject=Patient/p1&{query}")
        assert bundle["total"] == 3
        assert named(bundle) == []
        assert link(bundle, "next") is None
    assert "total" not in await found(client, "Observation?_total=none")


async def test_what_is_not_known_is_passed_over_with_a_warning_or_refused_where_the_caller_is_strict(client):
    await small_clinic(client)
    bundle = await found(client, "Patient?_id=p1&favourite-colour=blue")
    assert named(bundle) == ["Patient/p1"]
    [outcome] = [one for one in bundle["entry"] if one["search"]["mode"] == "outcome"]
    assert outcome["resource"]["issue"][0]["expression"] == ["favourite-colour"]
    assert "favourite" not in link(bundle, "self")
    strict = await client.get(f"{FHIR}/Patient?_id=p1&favourite-colour=blue", prefer="handling=strict")
    assert strict.status == 400


async def test_compartments_and_several_types_are_searched(client):
    await small_clinic(client)
    assert sorted(named(await found(client, "Patient/p2/Observation"))) == ["Observation/o4", "Observation/o5"]
    assert named(await found(client, "Patient/p2/Observation?date=2026-01-05")) == ["Observation/o5"]
    everything = named(await found(client, "Patient/p2/*"))
    assert sorted(everything) == ["Observation/o4", "Observation/o5", "Patient/p2"]
    assert len(named(await found(client, "Practitioner/dr/Observation"))) == 3
    both = named(await found(client, "?_type=Patient,Organization"))
    assert sorted(both) == ["Organization/clinic", "Patient/p1", "Patient/p2"]
    for path in ("Observation/o1/Patient", "Patient/p1/Medication", "Patient/p1/Nonsense"):
        assert (await client.get(f"{FHIR}/{path}")).status == 404, path


async def test_the_audit_row_names_parameters_that_we_know_and_the_patients_that_were_seen(client, record):
    await small_clinic(client)
    await found(client, "Observation?patient=p1&unknown-parameter=secret&_include=Observation:subject")
    row = (await record.audit_rows())[-1]
    assert row["query_shape"] == "GET /fhir/R4/{type}?_include&patient"
    assert (row["action"], row["resource_type"], row["status"]) == ("search", "Observation", 200)
    assert row["row_count"] == 4
    assert "secret" not in json.dumps({key: str(value) for key, value in dict(row).items()})


async def test_another_organisation_finds_and_includes_nothing(client, other_client):
    await small_clinic(client)
    for query in ("Patient", "Observation?_include=*", "?_type=Patient", "Patient/p1/*", "Patient?_revinclude=*"):
        assert "entry" not in await found(other_client, query)


async def test_a_withdrawn_key_finds_nothing_from_one_request_to_the_next(client, services, org_id):
    await small_clinic(client)
    await found(client, "Patient?family=okonkwo&_revinclude=Observation:subject")
    async with services.pool.transaction(org_id) as tx:
        await tx.execute("update credential set revoked_at = now() where org_id = $1", org_id)
    assert (await client.get(f"{FHIR}/Patient?family=okonkwo")).status == 401


async def test_the_provenance_of_every_version_comes_along_and_is_found_beside_what_clients_wrote(client):
    await put(client, patient("p1"), patient("p1", "Newname"), observation("o1"))
    await put(
        client,
        {
            "resourceType": "Provenance",
            "id": "written",
            "target": [{"reference": "Patient/p1"}],
            "recorded": "2026-01-01T00:00:00Z",
            "agent": [{"who": {"display": "A person"}}],
        },
    )
    bundle = await found(client, "Patient?_id=p1&_revinclude=Provenance:target")
    targets = [one["resource"]["target"][0]["reference"] for one in bundle["entry"][1:]]
    assert targets == ["Patient/p1", "Patient/p1/_history/2", "Patient/p1/_history/1"]
    both = await found(client, "Observation?_include=Observation:subject&_revinclude:iterate=Provenance:target")
    assert len(named(both, "include")) == 1 + 1 + 3
    for query in (
        "target=Patient/p1",
        "target:Patient=p1",
        "patient=p1",
        "patient=http://localhost/fhir/R4/Patient/p1",
        "target=Patient/p1&_count=1",
        "target=Patient/p1&_count=2",
        "target=Patient/p1&_count=3",
    ):
        bundles = await walked(client, f"Provenance?{query}")
        assert [name for one in bundles for name in named(one)] == named(bundle, "include"), query
    assert (await found(client, "Provenance?target=Patient/p1&_summary=count"))["total"] == 3
    computed = named(bundle, "include")[1].partition("/")[2]
    assert named(await found(client, f"Provenance?_id={computed}")) == [f"Provenance/{computed}"]
    assert named(await found(client, "Provenance?recorded=2026-01-01")) == ["Provenance/written"]


async def test_names_may_stand_in_an_address_as_they_are_written(client):
    await put(client, patient("p1", "Müller"))
    reply = await client.call("GET", f"{FHIR}/Patient?family=MÜLLER")
    assert named(reply.json) == ["Patient/p1"]


async def test_a_modifier_that_a_parameter_does_not_have_is_refused_whatever_the_caller_prefers(client):
    for handling in ("strict", "lenient"):
        reply = await client.get(f"{FHIR}/Patient?family:sounds=x", prefer=f"handling={handling}")
        assert (reply.status, reply.json["issue"][0]["expression"]) == (400, ["family:sounds"])
