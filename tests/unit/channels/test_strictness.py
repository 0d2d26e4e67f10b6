"""Which action an issue meets, and what the listener answers."""

import pytest

from chartwire.channels.strictness import action_on, table_0357
from chartwire.formats.hl7v2.validate import Issue, Severity


@pytest.mark.parametrize(
    ("severity", "rule", "strictness", "action"),
    [
        ("error", "field_required", (), "warn"),
        ("information", "segment_local", (), "ignore"),
        ("error", "field_required", (("error", "refuse"),), "refuse"),
        ("warning", "field_required", (("error", "refuse"),), "warn"),
        ("error", "datatype_nm", (("error", "refuse"), ("datatype_*", "hold")), "hold"),
        ("error", "datatype_nm", (("datatype_*", "hold"), ("error", "refuse")), "refuse"),
        ("error", "datatype_nm", (("*", "ignore"), ("datatype_nm", "refuse")), "refuse"),
        ("error", "field_required", (("error", "refuse"), ("field_required", "ignore")), "ignore"),
    ],
)
def test_the_last_pair_that_fits_counts(
    severity: Severity, rule: str, strictness: tuple[tuple[str, str], ...], action: str
) -> None:
    assert action_on(Issue(severity, rule, "PID-3", "", ""), strictness) == action


def test_a_broken_rule_has_its_code_of_table_0357() -> None:
    rules = {"segment_missing": "100", "field_required": "101", "datatype_nm": "102", "value_not_in_table": "103"}
    assert {rule: table_0357(rule) for rule in rules} == rules
    assert table_0357("unreadable") == "102"
