"""Code systems as their publishers hand them out: files of LOINC, SNOMED CT, RxNorm, ICD-10-CM and CVX become concepts.

Read: concepts.py (what comes out), then one file a publisher (loinc.py, snomed.py, rxnorm.py, icd10cm.py, cvx.py), then
releases.py (which file is whose).
"""

from chartwire.formats.codes.concepts import Concept, Lines
from chartwire.formats.codes.releases import RELEASES, Release, recognised

__all__ = ["RELEASES", "Concept", "Lines", "Release", "recognised"]
