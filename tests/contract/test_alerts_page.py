"""The page about alerts is what the code does, and every page that an alert leads to is there."""

from pathlib import Path

import pytest

from chartwire.alerts.channels.kinds import CHANNEL_KINDS
from chartwire.alerts.kinds import KINDS
from chartwire.alerts.notices import WAITS_S
from chartwire.alerts.trial import advice_on
from chartwire.app.alerts_reference import page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_about_alerts_is_made_from_the_rules_and_channels_that_there_are() -> None:
    told = (DOCS / "reference" / "alerts.md").read_text("utf-8")
    assert told == page(), "run: python -m chartwire.app.alerts_reference > docs/reference/alerts.md"
    assert sum(WAITS_S) == pytest.approx(24 * 3600, rel=0.05), "it says that a notice is tried for a day"


def test_every_page_that_an_alert_leads_to_is_there() -> None:
    assert not [kind.page for kind in KINDS.values() if kind.page and not (DOCS / kind.page).is_file()]


CODES = ("dns", "connect_timeout", "tls_certificate", "disarmed", "http_301", "http_400", "http_404", "http_503",
         "seal_broken", "address_private", "timeout")  # fmt: skip
OF_MAIL = ("smtp_greeting", "smtp_starttls", "smtp_login", "smtp_sender", "smtp_recipients", "smtp_some_recipients",
           "smtp_message", "smtp_closed", "smtp_malformed", "tls_injection")  # fmt: skip


def test_whatever_fails_there_is_a_word_for_it_of_its_own() -> None:
    unknown = advice_on("email", "no such code")
    for kind in CHANNEL_KINDS:
        told = {advice_on(kind, code) for code in CODES if code != "connect"}
        assert len(told) == len(CODES), kind
        assert unknown not in told
    mail = {advice_on("email", code) for code in OF_MAIL}
    assert len(mail) == len(OF_MAIL)
    assert unknown not in mail
