"""`python -m chartwire.app.fhir_validation_reference`: docs/reference/fhir-validation.md, made from the rules."""

from chartwire.formats.fhir.validate import rules

_HEAD = """# FHIR validation

Made from the rules themselves by `python -m chartwire.app.fhir_validation_reference`; do not edit.

What `chartwire fhir validate`, `$validate` and every write through `/fhir/R4` speak of. An issue has a rule, a
severity, an R4 issue type, and a place as FHIRPath writes it (`Patient.name[0].given[1]`; `Observation.value[x]` where
it is a choice that is meant, not one of its types). Invariants of R4 and of profiles (`obs-6`, `us-core-6`) have their
own keys and severities. Issues hold places and facts of the specification, never a value of the resource.

- A resource is checked by R4 4.0.1, by the profiles in its `meta.profile`, and by those asked for (`profile`,
  `--profile`): US Core 3.1.1, 6.1.0 and 7.0.0 and the profiles of R4 are known. A canonical without version means 6.1.0
  where it is US Core's.
- Extensions are checked by their definitions where R4 or US Core has one, wherever they stand.
- Codes are checked against what can be decided here: code systems of R4 and HL7 in full, units, language tags and media
  types by their grammar, and what `chartwire terminology load` brought. What cannot be decided is information
  (`code-not-checked`), never silence.
- An error refuses a write through `/fhir/R4` (422, with every issue) and makes exit code 1. From feeds, an error of
  the types structure, value, required and too-long dead-letters the message (`fhir_invalid`); any other is stored, and
  stands in the findings of the message by rule and place.
- Best practice (dom-6: there should be a narrative) is not told of.

| rule | severity | issue type | what is said |
|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    rows = [
        f"| `{key}` | {rule.severity} | {rule.code} | {rule.text.replace('|', chr(92) + '|')} |"
        for key, rule in rules().items()
    ]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(page(), end="")
