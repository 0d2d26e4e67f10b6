"""Which files make up which code system."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from chartwire.formats.codes import cvx, icd10cm, loinc, rxnorm, snomed
from chartwire.formats.codes.concepts import Concept, Lines


@dataclass(frozen=True, slots=True)
class Release:
    """How one publisher hands out a code system.

    `files` are what each file is to `read`, with a pattern of its name; all must be there but those in `optional`.
    `version` finds the version in a file's path, where publishers write it there.
    """

    system: str
    title: str
    files: Mapping[str, re.Pattern[str]]
    read: Callable[[Mapping[str, Lines]], Iterator[Concept]]
    version: re.Pattern[str]
    optional: frozenset[str] = frozenset()

    def found(self, names: Iterable[str]) -> dict[str, str] | None:
        """Role -> file, where the files that it needs are among those names; of several that fit, the shortest path."""
        known = [*names]
        fitting = {role: [name for name in known if pattern.search(name)] for role, pattern in self.files.items()}
        roles = {role: min(fit, key=lambda name: (len(name), name)) for role, fit in fitting.items() if fit}
        return roles if self.files.keys() - self.optional <= roles.keys() else None

    def version_of(self, name: str) -> str:
        """The version that a path tells, or ""."""
        match = self.version.search(name)
        return match[1] if match else ""


def _file(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[/\\]){pattern}$", re.IGNORECASE)


RELEASES = (
    Release(
        loinc.SYSTEM,
        "LOINC",
        {
            "table": _file(r"Loinc(?:TableCore)?\.csv"),
            "hierarchy": _file(r"(?:ComponentHierarchyBySystem|MultiAxialHierarchy)\.csv"),
        },
        loinc.read,
        re.compile(r"Loinc_(\d+\.\d+)", re.IGNORECASE),
        frozenset({"hierarchy"}),
    ),
    Release(
        snomed.SYSTEM,
        "SNOMED CT",
        {
            "concepts": _file(r"x?sct2_Concept_Snapshot_\w+\.txt"),
            "descriptions": _file(r"x?sct2_Description_Snapshot-en_\w+\.txt"),
            "relationships": _file(r"x?sct2_Relationship_Snapshot_\w+\.txt"),
            "language": _file(r"x?der2_cRefset_LanguageSnapshot-en_\w+\.txt"),
        },
        snomed.read,
        re.compile(r"_(\d{8})\.txt$"),
        frozenset({"language"}),
    ),
    Release(
        rxnorm.SYSTEM,
        "RxNorm",
        {"concepts": _file(r"RXNCONSO\.RRF")},
        rxnorm.read,
        re.compile(r"RxNorm_full_(\d{8})", re.IGNORECASE),
    ),
    Release(
        icd10cm.SYSTEM,
        "ICD-10-CM",
        {"order": _file(r"icd10cm[-_]order[-_ \w]*\.txt")},
        icd10cm.read,
        re.compile(r"order[-_ ]?\w*?(\d{4})", re.IGNORECASE),
    ),
    Release(
        cvx.SYSTEM,
        "CVX",
        {"codes": _file(r"(?:web_)?cvx[-_ \w]*\.(?:txt|csv)")},
        cvx.read,
        re.compile(r"cvx[-_]?(\d{4}-?\d{2}-?\d{2})", re.IGNORECASE),
    ),
)


def recognised(names: Iterable[str]) -> list[tuple[Release, dict[str, str]]]:
    """The releases whose files are among those names, each with its files by role."""
    known = [*names]
    return [(release, roles) for release in RELEASES if (roles := release.found(known)) is not None]
