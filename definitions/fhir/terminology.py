"""Code systems and value sets without prose.

A system is its concepts in the order of its tree: `codes`, `displays` ("" where it is the code), and by the place of
a concept `parents` (-1 for none), `more_parents`, `abstract` and `inactive`. A value set is what it includes and
excludes: the server evaluates that, with the systems that the packages list and those that an operator loads.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from definitions.fhir.packages import Package, Resource

_LICENSED = {"http://snomed.info/sct", "http://www.ama-assn.org/go/cpt", "http://www.ada.org/cdt"}
"""Systems whose displays are not ours to pass on. The codes that a value set names are facts."""
_NEWEST_FIRST = ("4.0.1", "7.0.0", "6.1.0", "3.1.1")
_GONE = {"retired", "deprecated", "withdrawn"}
_TRUE = {"notSelectable", "abstract"}


def terminology(packages: list[Package]) -> dict[str, Any]:
    """The content of terminology.json."""
    by_hand = yaml.safe_load((Path(__file__).parent / "codes.yaml").read_text("utf-8"))
    systems = {url: _listed(told) for url, told in by_hand["systems"].items()}
    for package in sorted(packages, key=lambda package: _NEWEST_FIRST.index(package.version), reverse=True):
        for system in package.resources["CodeSystem"]:
            if system["content"] not in {"not-present", "supplement"}:
                systems[system["url"]] = _system(system)
    systems |= _united(systems)
    displays = {url: dict(zip(told["codes"], told["displays"], strict=True)) for url, told in systems.items()}
    sets = {
        f"{one['url']}|{one.get('version') or package.version}": _value_set(one, displays)
        for package in packages
        for one in package.resources["ValueSet"]
        if "compose" in one
    }
    return {
        "systems": dict(sorted(systems.items())),
        "sets": dict(sorted((sets | by_hand["sets"]).items())),
        "languages": by_hand["languages"]["two_letters"].split(),
        "ucum": {part: words.split() for part, words in by_hand["ucum"].items()},
    }


def _united(systems: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Tables of v2 whose codes changed their meaning stand once a version (`v2-0360|2.7`); resources name the table."""
    found: dict[str, dict[str, str]] = {}
    for url, told in systems.items():
        table, versioned, _ = url.partition("|")
        if versioned:
            found.setdefault(table, {}).update(zip(told["codes"], told["displays"], strict=True))
    return {
        url: {"name": url.rpartition("/")[2], "content": "complete", "codes": [*codes], "displays": [*codes.values()]}
        for url, codes in found.items()
    }


def _listed(told: dict[str, str]) -> dict[str, Any]:
    codes = told["codes"].split()
    return {"name": told["name"], "content": "complete", "codes": codes, "displays": [""] * len(codes)}


def _system(system: Resource) -> dict[str, Any]:
    rows = [*_concepts(system.get("concept", []), -1, iter(range(1_000_000)))]
    places = {concept["code"]: place for place, (concept, _) in enumerate(rows)}
    parents = [parent for _, parent in rows]
    made: dict[str, Any] = {
        "name": system["name"],
        "version": system.get("version", ""),
        "content": system["content"],
        "codes": [concept["code"] for concept, _ in rows],
        "displays": [_unless(concept.get("display", ""), concept["code"]) for concept, _ in rows],
        "parents": parents if any(parent >= 0 for parent in parents) else [],
        "more_parents": [
            [places[child], place]
            for place, (concept, _) in enumerate(rows)
            for child in _property(concept, "child")
            if child in places
        ],
        "abstract": [place for place, (concept, _) in enumerate(rows) if _says(concept, _TRUE)],
        "inactive": [place for place, (concept, _) in enumerate(rows) if {*_property(concept, "status")} & _GONE],
        "ignores_case": system.get("caseSensitive") is False,
    }
    return {key: value for key, value in made.items() if value or key in {"codes", "displays"}}


def _concepts(listed: list[Resource], parent: int, numbers: Iterator[int]) -> Iterator[tuple[Resource, int]]:
    for concept in listed:
        place = next(numbers)
        yield concept, parent
        yield from _concepts(concept.get("concept", []), place, numbers)


def _property(concept: Resource, code: str) -> list[Any]:
    return [told[key] for told in concept.get("property", ()) if told["code"] == code for key in told if key != "code"]


def _says(concept: Resource, codes: set[str]) -> bool:
    return any(value is True for code in codes for value in _property(concept, code))


def _unless(text: str, usual: str) -> str:
    return "" if text == usual else text


def _value_set(one: Resource, displays: dict[str, dict[str, str]]) -> dict[str, Any]:
    made = {"name": one["name"], "title": one.get("title", "")}
    for part in ("include", "exclude"):
        made[part] = [_part(told, displays) for told in one["compose"].get(part, ())]
    return {key: value for key, value in made.items() if value}


def _part(told: Resource, displays: dict[str, dict[str, str]]) -> dict[str, Any]:
    system = told.get("system", "").partition("|")[0]
    made: dict[str, Any] = {"system": system, "sets": told.get("valueSet", [])}
    if "concept" in told:
        known = displays.get(system, {})
        made["concepts"] = {
            concept["code"]: ""
            if system in _LICENSED
            else _unless(concept.get("display", ""), known.get(concept["code"]) or concept["code"])
            for concept in told["concept"]
        }
    made["filters"] = [[filter_["property"], filter_["op"], filter_["value"]] for filter_ in told.get("filter", ())]
    return {key: value for key, value in made.items() if value}
