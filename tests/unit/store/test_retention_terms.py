"""Terms of retention: what may be set, and what holds together."""

import pytest

from chartwire.app.settings import SettingsError, load
from chartwire.core.errors import ValidationError
from chartwire.core.terms import TERMS, in_force, read_terms
from chartwire.store.retention import CLASSES


@pytest.mark.parametrize("word", ["audit=365", "events=7", "raw=0", "raw", "raw=²", "everything=3"])
def test_a_term_that_the_law_or_the_change_feed_forbids_is_refused_wherever_settings_are_read(word):
    with pytest.raises(ValidationError, match="retention"):
        read_terms([word])
    with pytest.raises(SettingsError, match="retention"):
        load(environ={"CHARTWIRE_RETENTION": word})


def test_an_organisation_s_own_term_comes_before_the_installation_s_and_that_before_the_default():
    terms = in_force({"raw": 30, "audit": 4000}, {"raw": 10})
    assert (terms["raw"], terms["audit"], terms["quarantine"]) == (10, 4000, TERMS["quarantine"].days)


def test_messages_outlive_their_bodies_whatever_the_terms_say():
    assert in_force({"messages": 10}, {"raw": 100, "dead_letters": 50})["messages"] == 100


def test_each_class_of_data_has_a_term_and_bodies_go_before_their_messages():
    assert list(CLASSES) == list(TERMS)
    assert list(TERMS).index("raw") < list(TERMS).index("messages")
