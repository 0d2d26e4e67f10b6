"""The validator of FHIR R4 resources: `check(resource)` gives every issue with its place, its rule and how to mend it.

Read: validator.py (the entrance), issues.py and rules.yaml (what is said), run.py, primitives.py, members.py, shapes.py
(types, by elements.py), bindings.py, references.py, invariants.py and by_hand.py; then what profiles add: profiles.py,
over snapshots.py (a profile as a tree), patterns.py (what it fixes), slicing.py.
"""

from chartwire.formats.fhir.validate.issues import SEVERITIES, Issue, Severity, rules
from chartwire.formats.fhir.validate.validator import check

__all__ = ["SEVERITIES", "Issue", "Severity", "check", "rules"]
