"""What a search must find, by this test's own reading of the resources: values, and whether a value matches."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.api.us_core.charts import Json, table

_PLACES = table("searches.yaml")["places"]
Span = tuple[datetime, datetime]
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def place(kind: str, param: str) -> tuple[list[str], str]:
    """Where a parameter's values stand, and how to read them."""
    paths, form = _PLACES.get(kind, {}).get(param) or _PLACES["*"][param]
    return paths.split(), form


def found_at(value: Any, path: str) -> Iterator[Any]:
    """All that a path of members leads to, arrays flattened."""
    if isinstance(value, list):
        for one in value:
            yield from found_at(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        step, _, rest = path.partition(".")
        if step in value:
            yield from found_at(value[step], rest)


def values(resource: Json, param: str) -> list[Any]:
    """What a resource has for a parameter."""
    paths, _ = place(resource["resourceType"], param)
    return [value for path in paths for value in found_at(resource, path)]


def asked(resource: Json, param: str) -> str:
    """A value to search by that this resource must be found by."""
    _, form = place(resource["resourceType"], param)
    value = values(resource, param)[0]
    match form:
        case "token" | "identifier":
            return f"{value['system']}|{value.get('code', value.get('value'))}"
        case "reference":
            return value.partition("/")[2]
        case "name":
            return value["family"]
        case "address":
            return value["city"]
        case "date" | "period":
            return f"ge{value['start'][:10]}" if isinstance(value, dict) else value[:10]
    return value


def matches(resource: Json, param: str, wanted: str) -> bool:
    """Whether a resource has what is asked for; of several values between commas, any."""
    _, form = place(resource["resourceType"], param)
    return any(_matches(value, form, one) for value in values(resource, param) for one in wanted.split(","))


def _matches(value: Any, form: str, wanted: str) -> bool:
    match form:
        case "token" | "identifier":
            code = value.get("code", value.get("value"))
            return wanted in (code, f"{value.get('system', '')}|{code}")
        case "reference":
            return wanted in (value, value.partition("/")[2])
        case "name":
            words = [value.get("family", ""), value.get("text", ""), *value.get("given", [])]
            return any(word.lower().startswith(wanted.lower()) for word in words)
        case "address":
            return any(str(part).lower().startswith(wanted.lower()) for part in _parts(value))
        case "text":
            return str(value).lower().startswith(wanted.lower())
        case "date" | "period":
            return _in_order(span_of(value), wanted)
    return bool(value == wanted)


def _parts(address: Json) -> Iterator[str]:
    for part in address.values():
        yield from part if isinstance(part, list) else [part]


def span_of(value: Any) -> Span:
    """From the first instant of a date or period to that after its last."""
    if isinstance(value, dict):
        start, end = value.get("start"), value.get("end")
        return (span_of(start)[0] if start else _FIRST, span_of(end)[1] if end else _LAST)
    if len(value) == 4:
        return datetime(int(value), 1, 1, tzinfo=UTC), datetime(int(value) + 1, 1, 1, tzinfo=UTC)
    if len(value) == 7:
        year, month = int(value[:4]), int(value[5:])
        return datetime(year, month, 1, tzinfo=UTC), datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    if len(value) == 10:
        day = datetime.fromisoformat(value).replace(tzinfo=UTC)
        return day, day + timedelta(days=1)
    moment = datetime.fromisoformat(value)
    return moment, moment + timedelta(milliseconds=1 if "." in value else 1000)


def _in_order(span: Span, wanted: str) -> bool:
    comparator, text = (wanted[:2], wanted[2:]) if wanted[:2].isalpha() else ("eq", wanted)
    low, high = span_of(text)
    match comparator:
        case "gt":
            return span[1] > high
        case "lt":
            return span[0] < low
        case "ge":
            return span[1] > high or (low <= span[0] and span[1] <= high)
        case "le":
            return span[0] < low or (low <= span[0] and span[1] <= high)
    return low <= span[0] and span[1] <= high
