"""The lines that the documentation tells a receiver to use are right."""

from pathlib import Path
from typing import Any

from chartwire.delivery.signature import decode_secret, new_secret, signature_header

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "receive-webhooks.md"


def test_the_python_lines_accept_what_the_sender_signs_and_nothing_else() -> None:
    told: dict[str, Any] = {}
    exec(PAGE.read_text("utf-8").split("```python\n")[1].split("```")[0], told)
    old, new, body = new_secret(), new_secret(), '{"id":"ö"}'.encode()
    signature = signature_header([decode_secret(new), decode_secret(old)], "evt_1", 1000, body)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": "1000", "webhook-signature": signature}
    verify = told["verify"]
    assert verify(old, headers, body, now=1200) and verify(new, headers, body, now=1000)
    assert not verify(new, headers, body, now=1301)
    assert not verify(new, headers, body + b" ", now=1000)
    assert not verify(new_secret(), headers, body, now=1000)
    assert not verify(new, headers | {"webhook-id": "evt_2"}, body, now=1000)
