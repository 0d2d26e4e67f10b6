"""What stands in FHIR packages (npm form, `.tgz`), by resource type."""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
_FOLDER = "package/"
_KINDS = (
    "StructureDefinition",
    "SearchParameter",
    "CompartmentDefinition",
    "CodeSystem",
    "ValueSet",
    "OperationDefinition",
)


class Package:
    """One package: its name, version, hash, and the definitions in it (not its examples)."""

    def __init__(self, path: Path) -> None:
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.resources: dict[str, list[Resource]] = {kind: [] for kind in _KINDS}
        self.official: list[Resource] = []
        self.name = self.version = ""
        for name, data in _members(path):
            self._take(name, json.loads(data, parse_float=Decimal))

    def _take(self, name: str, body: Resource) -> None:
        if name == "package.json":
            self.name, self.version = body["name"], body["version"]
        elif name == "Bundle-searchParams.json":
            self.official = [entry["resource"] for entry in body["entry"]]
        elif body.get("resourceType") in self.resources:
            self.resources[body["resourceType"]].append(body)

    def structures(self) -> list[Resource]:
        """The StructureDefinitions that have a snapshot, by URL."""
        return sorted((one for one in self.resources["StructureDefinition"] if "snapshot" in one), key=_url)

    def search_parameters(self) -> list[Resource]:
        """Those of the specification itself where the package says which they are, else all; by URL."""
        return sorted(self.official or self.resources["SearchParameter"], key=_url)

    def note(self) -> str:
        """One line for the notice."""
        return f"{self.name} {self.version} sha256 {self.sha256}"


def _url(resource: Resource) -> str:
    return str(resource.get("url", ""))


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix(_FOLDER)
            wanted = name.split("-", maxsplit=1)[0] in _KINDS or name in {"package.json", "Bundle-searchParams.json"}
            if wanted and "/" not in name and name.endswith(".json"):
                file = archive.extractfile(member)
                assert file is not None, name
                yield name, file.read()
