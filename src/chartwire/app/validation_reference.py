"""`python -m chartwire.app.validation_reference`: docs/reference/hl7-validation.md, made from the rules themselves."""

from chartwire.formats.hl7v2.validate import rules

_HEAD = """# HL7 v2 validation

Made from the rules themselves by `python -m chartwire.app.validation_reference`; do not edit.

What `chartwire hl7 validate`, `POST /api/v1/hl7/validate` and the strictness of a source speak of. A rule has a code
that does not change, a severity, and a location: a path as `chartwire hl7 get` reads it (`PID-5.1`, `OBX(3)-5(2).1`),
or a segment (`OBX(3)`). Issues hold places and facts of the standard, never a value of the message.

- Versions 2.1 to 2.8.2 have tables of their own; 2.7.1 has those of 2.7. Any other is checked by the nearest lower one.
- The structure is that of the event (table 0354); MSH-9.3 counts where the event is not known. Z segments may stand
  anywhere.
- Lengths are judged for text without parts: up to 2.6 as maximum lengths, in 2.7 as what a receiver must take at least.
  From 2.8 on the sources of the tables tell none.
- Codes of HL7 tables count whatever version brought them; of tables that sites fill, only what HL7 suggests is told.
- OBX-5 is judged by the data type that OBX-2 names, with the tables of another version where this one lacks it.
- Of many issues that are alike the first five are told and the rest counted.

| rule | severity | what is wrong | how to mend it |
|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    rows = [f"| `{code}` | {rule.severity} | {rule.what} | {rule.mend} |" for code, rule in rules().items()]
    return _HEAD + "\n".join(row.replace("\\|", "|") for row in rows) + "\n"


if __name__ == "__main__":
    print(page(), end="")
