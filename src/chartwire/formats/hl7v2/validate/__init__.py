"""The structural validator of HL7 v2: `Validator().check(document)` gives every issue with place, rule and remedy.

Read: issues.py and rules.yaml (what is said), dictionary.py (what HL7 says), validator.py, header.py, structure.py (the
order of segments), segments.py, fields.py, leaves.py.
"""

from chartwire.formats.hl7v2.validate.issues import SEVERITIES, Issue, Severity, rule_issue, rules
from chartwire.formats.hl7v2.validate.validator import Validator

__all__ = ["SEVERITIES", "Issue", "Severity", "Validator", "rule_issue", "rules"]
