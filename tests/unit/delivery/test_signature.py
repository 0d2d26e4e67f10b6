"""Standard Webhooks signatures, cross-tested against the `standardwebhooks` package as oracle."""

from datetime import UTC, datetime
from time import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from chartwire.core.errors import ValidationError
from chartwire.delivery.signature import (
    SignatureError,
    decode_secret,
    encode_secret,
    new_secret,
    sign,
    signature_header,
    verify,
)

OLD, NEW = b"o" * 24, b"n" * 32
BODY = '{"type":"patient.updated","ö":1}'.encode()


@settings(max_examples=100)
@given(st.binary(min_size=24, max_size=64), st.text(max_size=200), st.integers(0, 2**32))
def test_every_signature_is_the_one_that_the_oracle_makes(secret: bytes, text: str, timestamp: int) -> None:
    expected = Webhook(encode_secret(secret)).sign("evt_1", datetime.fromtimestamp(timestamp, UTC), text)
    assert sign(secret, "evt_1", timestamp, text.encode()) == expected


def test_the_oracle_accepts_a_rotation_header_by_the_old_and_by_the_new_secret() -> None:
    now = int(time())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signature_header([NEW, OLD], "evt_1", now, BODY),
    }
    for secret in (OLD, NEW):
        assert Webhook(encode_secret(secret)).verify(BODY, headers)["type"] == "patient.updated"


def test_a_signature_is_accepted_by_any_secret_among_signatures_of_other_versions() -> None:
    header = f"v1a,{'A' * 88} {sign(OLD, 'evt_1', 1000, BODY)} v2,x"
    verify([NEW, OLD], "evt_1", "1000", header, BODY, now_s=1000)
    with pytest.raises(SignatureError):
        verify([NEW], "evt_1", "1000", header, BODY, now_s=1000)


@pytest.mark.parametrize(("now_s", "accepted"), [(700, True), (1300, True), (699, False), (1301, False)])
def test_the_timestamp_may_be_five_minutes_off_either_way_and_no_more(now_s: int, accepted: bool) -> None:
    header = sign(NEW, "evt_1", 1000, BODY)
    if accepted:
        verify([NEW], "evt_1", "1000", header, BODY, now_s=now_s)
    else:
        with pytest.raises(SignatureError, match="too far"):
            verify([NEW], "evt_1", "1000", header, BODY, now_s=now_s)


def test_id_timestamp_and_body_are_each_bound_by_the_signature() -> None:
    header = sign(NEW, "evt_1", 1000, BODY)
    for message_id, timestamp, body in (
        ("evt_2", "1000", BODY),
        ("evt_1", "1001", BODY),
        ("evt_1", "1000", BODY + b" "),
    ):
        with pytest.raises(SignatureError):
            verify([NEW], message_id, timestamp, header, body, now_s=1000)


@pytest.mark.parametrize("header", ["", "v1", "garbage", "v1,", "v1,ü", "v1,!!!", " " * 1000, "v1,AAAA " * 100_000])
@pytest.mark.parametrize("timestamp", ["1000", "", "now", "1e3", "-1", "٣", "9" * 5000])
def test_a_malformed_header_is_a_signature_error_and_nothing_else(header: str, timestamp: str) -> None:
    with pytest.raises(SignatureError):
        verify([NEW], "evt_1", timestamp, header, BODY, now_s=1000)


def test_a_fresh_secret_is_256_bits_and_reads_back() -> None:
    text = new_secret()
    assert text.startswith("whsec_") and len(decode_secret(text)) == 32 and text != new_secret()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        encode_secret(b"x" * 23),
        encode_secret(b"x" * 65),
        encode_secret(b"x" * 32)[6:],
        "whsec_" + "=" * 44,
    ],
)
def test_a_secret_of_another_form_or_strength_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        decode_secret(text)
