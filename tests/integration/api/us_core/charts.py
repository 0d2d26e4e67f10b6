"""US Core data of our own: what two patients' charts hold, and what all patients share."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
PATIENTS = {"ada": {"n": "2", "y": "1951"}, "ben": {"n": "6", "y": "1978"}}
_PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/{}"
_HERE = Path(__file__).parent


def table(name: str) -> Any:
    """A YAML file of this folder."""
    return yaml.safe_load((_HERE / name).read_text("utf-8"))


def resources() -> list[Json]:
    """Everything, what is referred to before what refers to it."""
    shared = [_with_profiles(one) for one in table("directory.yaml")]
    template = (_HERE / "chart.yaml").read_text("utf-8")
    return shared + [one for patient, own in PATIENTS.items() for one in _chart(template, {"p": patient, **own})]


def _chart(template: str, names: dict[str, str]) -> Iterator[Json]:
    for name, text in names.items():
        template = template.replace(f"{{{name}}}", text)
    yield from (_with_profiles(one) for one in yaml.safe_load(template))


def _with_profiles(resource: Json) -> Json:
    named = copy.deepcopy(resource)
    for one in named.get("meta", {}).get("profile", []):
        named["meta"]["profile"] = [_PROFILE.format(one)]
    return named
