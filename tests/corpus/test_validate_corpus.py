"""Every corpus message is validated without an exception, and messages that were made to conform have no error."""

from collections import Counter
from pathlib import Path

import pytest
from tests.corpus.test_hl7v2_corpus import CORPORA, REFUSED, messages

from chartwire.formats.hl7v2 import compile_path, parse
from chartwire.formats.hl7v2.validate import Issue, Validator, rules

# Corpora whose messages were made to conform: to a version of HL7, or to a profile that says no less than it.
CONFORMANT = ("nist-hit", "nist-hit-core", "nist-hl7v2-ws", "nist-pcd", "hl7-v2-to-fhir")
# What the profile of immunization messages relaxes: RXA-4 may be empty there, and HL7 2.5.1 requires it.
RELAXED = {("field_required", "RXA-4")}

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="../shared/corpora is absent"),
]


@pytest.fixture(scope="module")
def validated() -> dict[tuple[str, int], list[Issue]]:
    validator = Validator()
    return {(name, number): validator.check(parse(data)) for name, number, data in messages() if name not in REFUSED}


def test_every_message_is_validated_and_every_issue_is_whole(validated):
    assert len(validated) > 900
    severities: Counter[str] = Counter()
    for issues in validated.values():
        for issue in issues:
            severities[issue.severity] += 1
            assert issue.rule in rules()
            assert issue.text and issue.mend and "{" not in issue.text + issue.mend
            if "-" in issue.location:
                compile_path(issue.location)
    clean = sum(not any(issue.severity == "error" for issue in issues) for issues in validated.values())
    print(f"{len(validated)} messages, {clean} without an error; issues: {dict(severities)}")


@pytest.mark.parametrize("corpus", CONFORMANT)
def test_messages_that_were_made_to_conform_have_no_error(validated, corpus):
    errors = {
        (name, issue.rule, issue.location)
        for (name, _), issues in validated.items()
        for issue in issues
        if Path(name).parts[0] == corpus and issue.severity == "error" and (issue.rule, issue.location) not in RELAXED
    }
    assert errors == set()
