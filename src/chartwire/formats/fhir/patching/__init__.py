"""The three ways to change a resource in part: JSON Patch, JSON merge patch and FHIRPath Patch. Pure.

Each takes a body and answers a new one; the old one is never changed. Number literals stay as they were written. A
patch that is none raises FaultsError `patch_invalid`, one that does not fit the body `patch_failed`, one whose `test`
says no `patch_test_failed`; the faults name the operation by a pointer into the patch, and never a value.
"""

from chartwire.formats.fhir.patching.fhirpath_patch import fhirpath_patch
from chartwire.formats.fhir.patching.json_patch import json_patch
from chartwire.formats.fhir.patching.merge_patch import merge_patch

__all__ = ["fhirpath_patch", "json_patch", "merge_patch"]
