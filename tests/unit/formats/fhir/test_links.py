"""Links of resources in a transaction lead where the entries went."""

from chartwire.formats.fhir.links import find_links

PATIENT = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
BINARY = "urn:oid:1.2.3.4"
LEADS = {PATIENT: "Patient/p1", BINARY: "Binary/b1"}


def led(resource):
    for link in find_links(resource, LEADS):
        link.lead(LEADS.get)
    return resource


def test_references_are_led_wherever_they_stand():
    resource = led(
        {
            "resourceType": "Observation",
            "contained": [{"resourceType": "Specimen", "id": "s", "subject": {"reference": PATIENT}}],
            "subject": {"reference": PATIENT},
            "performer": [{"reference": "Practitioner/7"}, {"reference": PATIENT}],
            "extension": [{"url": "http://x.org/e", "valueReference": {"reference": PATIENT}}],
        }
    )
    assert resource["contained"][0]["subject"] == {"reference": "Patient/p1"}
    assert resource["subject"] == {"reference": "Patient/p1"}
    assert resource["performer"] == [{"reference": "Practitioner/7"}, {"reference": "Patient/p1"}]
    assert resource["extension"][0]["valueReference"] == {"reference": "Patient/p1"}


def test_elements_of_type_uri_and_url_are_led_and_strings_codes_and_canonicals_are_not():
    document = led(
        {
            "resourceType": "DocumentReference",
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": BINARY}],
            "description": BINARY,
            "content": [{"attachment": {"url": BINARY, "title": BINARY}}],
        }
    )
    assert document["content"][0]["attachment"] == {"url": "Binary/b1", "title": BINARY}
    assert document["identifier"][0]["value"] == document["description"] == BINARY
    plan = led(
        {"resourceType": "CarePlan", "instantiatesUri": ["http://x.org", BINARY], "instantiatesCanonical": [BINARY]}
    )
    assert plan["instantiatesUri"] == ["http://x.org", "Binary/b1"]
    assert plan["instantiatesCanonical"] == [BINARY]


def test_a_narrative_is_led_in_its_links_and_not_in_its_words():
    div = (
        f"""<div xmlns="http://www.w3.org/1999/xhtml">{PATIENT} <a href="{PATIENT}">x</a> <img src='{BINARY}'/></div>"""
    )
    text = led({"resourceType": "Patient", "text": {"status": "generated", "div": div}})["text"]["div"]
    assert text == div.replace(f'"{PATIENT}"', '"Patient/p1"').replace(f"'{BINARY}'", "'Binary/b1'")


def test_a_conditional_reference_tells_type_and_query():
    [link] = find_links({"resourceType": "Encounter", "subject": {"reference": "Patient?identifier=a|b&_id=c"}}, ())
    assert link.condition == ("Patient", "identifier=a|b&_id=c")
    [plain] = find_links({"resourceType": "Encounter", "subject": {"reference": "Patient/1"}}, ())
    assert plain.condition is None
