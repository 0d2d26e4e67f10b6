"""What has nothing to tell leaves no hole in the JSON that receivers judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.alerts.channels.chat import slack_text
from chartwire.alerts.channels.template import filled, template
from chartwire.alerts.wording import clipped

FACTS = {"a": "one", "b": "two", "none": ""}


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        ({"x": "$a and $b", "n": 3, "t": True}, {"x": "one and two", "n": 3, "t": True}),
        ({"x": "$a", "y": "$none"}, {"x": "one"}),
        ({"x": "$a", "y": {"z": "since $none"}}, {"x": "one"}),
        ({"x": "$a", "y": [{"title": "Note", "value": "$none"}, {"title": "A", "value": "$a"}]},
         {"x": "one", "y": [{"title": "A", "value": "one"}]}),
        ({"x": "$a", "y": [{"type": "context", "elements": [{"text": "<$none|open>"}]}]}, {"x": "one"}),
    ],
)  # fmt: skip
def test_an_empty_fact_goes_with_all_that_names_it(shape, made) -> None:
    assert filled(shape, FACTS) == made


def test_a_fact_that_no_template_knows_is_a_fault_and_not_a_hole() -> None:
    with pytest.raises(KeyError):
        filled({"x": "$unknown"}, FACTS)


@given(st.text())
def test_whatever_a_summary_holds_it_is_one_bounded_line_and_no_markup_of_slack(text) -> None:
    line = clipped(text, 140)
    assert len(line) <= 140
    assert len(line.splitlines()) <= 1
    shown = slack_text(line)
    assert not {"<", ">"} & set(shown)
    assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == line


@pytest.mark.parametrize("name", ["slack", "teams", "pagerduty", "email"])
def test_a_fact_cannot_name_another_fact(name) -> None:
    facts = dict.fromkeys(
        ("title", "summary", "severity", "organisation", "rule", "key", "since", "since_text", "at", "lasted", "note",
         "link", "guide", "dedup_key", "colour", "action"), "$routing_key",
    )  # fmt: skip
    made = filled(template(name), facts | {"routing_key": "SECRET"})
    made.pop("routing_key", None)
    assert "SECRET" not in str(made)
