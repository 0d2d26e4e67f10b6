"""Embedded documents: decoded, told apart from what they claim to be, and named by their content."""

from base64 import b64encode

import pytest
from tests.mapping_messages import PID, codes, convert, every, message, one, oru, segment

from chartwire.mapping import to_bundle

OBR = "OBR|1|P1|F1|24323-8^CMP^LN|||20260105080000" + "|" * 18 + "F"
PDF = b"%PDF-1.4 text"


def document(value, kind="ED", **fields):
    return oru(OBR, segment("OBX", f1="1", f2=kind, f3="PDF^Letter^L", f5=value, f11="F", **fields))


def shown(conversion):
    return one(conversion, "DocumentReference").body["content"][0]["attachment"]


@pytest.mark.parametrize(
    ("value", "media_type", "data"),
    [
        (f"^AP^PDF^Base64^{b64encode(PDF).decode()}", "application/pdf", PDF),
        (f"LAB^application^pdf^Base64^{b64encode(PDF).decode()}", "application/pdf", PDF),
        (f"^AP^PDF^Base64^{b64encode(PDF).decode().rstrip('=')}", "application/pdf", PDF),
        (f"^AP^PDF^Base64^{b64encode(PDF).decode()[:8]}\\.br\\{b64encode(PDF).decode()[8:]}", "application/pdf", PDF),
        (f"^AP^PDF^Base64^{b64encode(PDF).decode()[:8]}~{b64encode(PDF).decode()[8:]}", "application/pdf", PDF),
        (f"^AP^PDF^^{b64encode(PDF).decode()}", "application/pdf", PDF),
        (b64encode(PDF).decode(), "application/pdf", PDF),
        (f"^AP^PDF^Hex^{PDF.hex()}", "application/pdf", PDF),
        ("^TEXT^HTML^A^<b>5 \\T\\ 6</b>", "text/html", b"<b>5 & 6</b>"),
        ("^TEXT^PLAIN^quoted-printable^caf=C3=A9", "text/plain", "café".encode()),
        ("^application^vnd.ms-excel^Base64^AAEC", "application/octet-stream", b"\x00\x01\x02"),
        ("^^application/dicom^Base64^AAEC", "application/dicom", b"\x00\x01\x02"),
    ],
)
def test_a_document_is_decoded_as_its_encoding_says(value, media_type, data):
    conversion = document(value)
    [content] = conversion.contents
    assert (content.media_type, content.data) == (media_type, data)
    assert shown(conversion)["url"] == f"Binary/{content.id}"
    assert conversion.findings == []


@pytest.mark.parametrize(
    ("value", "finding", "media_type"),
    [
        ("^AP^PDF^Base64^JVBER*", "document_undecodable", "application/pdf"),
        ("^AP^PDF^Hex^2550zz", "document_undecodable", "application/pdf"),
        ("^application^pdf^Base64^", "document_empty", "application/pdf"),
        (f"^AP^PDF^Base64^{b64encode(b'<html>').decode()}", "media_type_differs", "application/octet-stream"),
        (f"^IM^JPEG^Base64^{b64encode(PDF).decode()}", "media_type_differs", "application/pdf"),
    ],
)
def test_a_content_that_is_not_what_it_claims_leaves_a_finding(value, finding, media_type):
    conversion = document(value)
    assert (finding, "OBX-5") in codes(conversion)
    assert shown(conversion)["contentType"] == media_type


def test_a_pointer_is_kept_and_never_fetched():
    conversion = document("https://pacs.example.org/study/7^^IM^JPEG", "RP")
    assert shown(conversion) == {
        "contentType": "image/jpeg", "url": "https://pacs.example.org/study/7", "title": "Letter"
    }  # fmt: skip
    assert conversion.contents == []
    assert shown(document("\\\\F\\\\share\\scan 7.pdf", "RP"))["title"].endswith("scan 7.pdf")


def test_equal_bytes_are_one_content_whoever_sends_them():
    value = f"^AP^PDF^Base64^{b64encode(PDF).decode()}"
    twice = oru(OBR, *(segment("OBX", f1=n, f2="ED", f3=f"D{n}^Letter^L", f5=value, f11="F") for n in "12"))
    assert len(every(twice, "DocumentReference")) == 2
    assert len(twice.contents) == 1
    assert twice.contents[0].id == document(value).contents[0].id


def test_a_withdrawn_document_is_entered_in_error():
    conversion = oru(OBR, segment("OBX", f1="1", f2="ED", f3="PDF^Letter^L", f5="^AP^PDF^A^x", f11="W"))
    body = one(conversion, "DocumentReference").body
    assert (body["status"], body["docStatus"]) == ("entered-in-error", "entered-in-error")


def test_a_bundle_carries_the_content_as_a_binary():
    bundle = to_bundle(document("^TEXT^PLAIN^A^hello"))
    [binary] = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Binary"]
    assert binary["resource"]["data"] == b64encode(b"hello").decode()
    [held] = [
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "DocumentReference"
    ]
    assert held["content"][0]["attachment"]["url"] == binary["fullUrl"]


@pytest.mark.parametrize(
    ("availability", "status"), [("AV", "current"), ("", "current"), ("OB", "superseded"), ("CA", "entered-in-error")]
)
def test_txa_19_says_whether_a_document_may_be_used(availability, status):
    txa = segment("TXA", f1="1", f2="PN", f12="D1", f17="AU", f19=availability)
    assert one(convert(message("MDM^T01", PID, txa)), "DocumentReference").body["status"] == status


def test_a_document_without_a_number_is_known_by_its_message():
    conversion = convert(message("MDM^T02", PID, segment("TXA", f1="1", f2="PN"), "OBX|1|TX|N^Note^L||a text||||||F"))
    assert one(conversion, "DocumentReference").key == "MSG|HOSP|M1"
    assert ("document_number_missing", "TXA-12") in codes(conversion)
