"""The index values of a resource, compiled from index.yaml. Pure; the same body always gives the same values.

Values are text that sorts as its meaning does: folded words, ISO dates, instants in UTC with milliseconds.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from chartwire.core.clock import instant
from chartwire.core.fhir_ids import local_reference
from chartwire.mapping.conversion import Json
from chartwire.record import custom_values
from chartwire.record.identity import folded
from chartwire.record.localtime import local_day
from chartwire.record.status import practice_status

Value = tuple[str, str]
_VALUE_CHARACTERS_MAX = 512
_NOT_DIGIT = re.compile(r"\D")


def index_values(resource_type: str, body: Json, updated: datetime) -> set[Value]:
    """All (parameter, value) pairs of one resource, `updated` among them; none for a type that no door searches."""
    extractors = _extractors(resource_type)
    if not extractors:
        return set()
    values = {("updated", instant(updated))}
    for param, extract in extractors:
        values.update([(param, text[:_VALUE_CHARACTERS_MAX]) for text in extract(body) if text])
    return values


Extract = Callable[[Json], Iterator[str]]


@cache
def _extractors(resource_type: str) -> tuple[tuple[str, Extract], ...]:
    return tuple((param, _compile(rule["at"], rule["as"])) for param, rule in _table().get(resource_type, {}).items())


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]]
    table = yaml.safe_load(files("chartwire.record").joinpath("index.yaml").read_text("utf-8"))
    return table


def _compile(path: str, form: str) -> Extract:
    name, _, argument = form.partition(":")
    read = _FORMS[name]
    steps = tuple(path.split(".")) if path else ()

    def extract(body: Json) -> Iterator[str]:
        for found in _at(body, steps):
            yield from read(found, argument)

    return extract


def _at(value: Any, steps: tuple[str, ...]) -> Iterable[Any]:
    if isinstance(value, list):
        return [found for item in value for found in _at(item, steps)]
    if not steps:
        return () if value is None else (value,)
    return _at(value.get(steps[0]), steps[1:]) if isinstance(value, dict) else ()


def _text(value: Any, _: str) -> Iterator[str]:
    yield folded(str(value))


def _word(value: Any, _: str) -> Iterator[str]:
    yield from folded(str(value)).split()


def _token(value: Any, _: str) -> Iterator[str]:
    yield str(value).lower() if isinstance(value, bool) else str(value)


def _identifier(value: Json, _: str) -> Iterator[str]:
    if held := value.get("value"):
        yield folded(held)
        if system := value.get("system"):
            yield f"{system}|{folded(held)}"


def _typed(value: Json, wanted: str) -> Iterator[str]:
    codes = [coding.get("code") for coding in value.get("type", {}).get("coding", ())]
    if wanted in codes and value.get("value"):
        yield folded(value["value"])


def _of_system(value: Json, wanted: str) -> Iterator[str]:
    if value.get("system") == wanted:
        yield value.get("value", "")


def _coding(value: Json, _: str) -> Iterator[str]:
    if code := value.get("code"):
        yield code
        if system := value.get("system"):
            yield f"{system}|{code}"


def _reference(value: Json, wanted: str) -> Iterator[str]:
    found = local_reference(value.get("reference", ""))
    if found is not None and found[0] == wanted:
        yield f"{wanted}/{found[1]}"


def _human_name(value: Json, _: str) -> Iterator[str]:
    given = value.get("given", [])
    yield from _word(" ".join([*given, value.get("family", "")]), "")


def _date(value: Any, _: str) -> Iterator[str]:
    yield str(value)


def _instant(value: Any, _: str) -> Iterator[str]:
    text = str(value)
    if "T" not in text:
        yield text
        return
    try:
        yield instant(datetime.fromisoformat(text).astimezone(UTC))
    except ValueError:
        yield text


def _phone(value: Json, _: str) -> Iterator[str]:
    if value.get("system") in {"phone", "sms", "fax", "pager"}:
        yield _NOT_DIGIT.sub("", value.get("value", ""))


def _email(value: Json, _: str) -> Iterator[str]:
    if value.get("system") == "email":
        yield folded(value.get("value", ""))


def _sort_name(value: Json, _: str) -> Iterator[str]:
    """One text a resource, for sorting: the first name, family before given."""
    for name in value.get("name", ())[:1]:
        yield folded(" ".join([name.get("family", ""), *name.get("given", [])]))


def _local_day(value: Json, _: str) -> Iterator[str]:
    yield local_day(value) or ""


def _practice_status(value: Json, _: str) -> Iterator[str]:
    yield practice_status(value)


def _custom(value: Json, _: str) -> Iterator[str]:
    if (held := custom_values.held(value)) is not None:
        yield custom_values.index_value(*held)


_FORMS: dict[str, Callable[[Any, str], Iterator[str]]] = {
    "text": _text,
    "word": _word,
    "token": _token,
    "identifier": _identifier,
    "typed": _typed,
    "of": _of_system,
    "coding": _coding,
    "reference": _reference,
    "human_name": _human_name,
    "date": _date,
    "instant": _instant,
    "phone": _phone,
    "email": _email,
    "practice_status": _practice_status,
    "sort_name": _sort_name,
    "local_day": _local_day,
    "custom": _custom,
}
