"""Searching as the specification words it (R4 3.1.1), slowly, by reading every resource: no code of the product's search.

Values of a parameter come from hand-written walks over the JSON; a date is a pair of moments, a quantity
(number, system, code, unit), a token (system or None, code), a reference its text.
"""

import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
Span = tuple[datetime, datetime]
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def span(text: str) -> Span:
    """From when until before when a date of any precision is."""
    if len(text) == 4:
        return datetime(int(text), 1, 1, tzinfo=UTC), datetime(int(text) + 1, 1, 1, tzinfo=UTC)
    if len(text) == 7:
        first = datetime.fromisoformat(f"{text}-01").replace(tzinfo=UTC)
        return first, (first + timedelta(days=32)).replace(day=1)
    if len(text) == 10:
        first = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return first, first + timedelta(days=1)
    moment = datetime.fromisoformat(text).astimezone(UTC)
    clock = text[11:].rstrip("Z").split("+")[0]
    step = {5: timedelta(minutes=1), 8: timedelta(seconds=1)}.get(len(clock), timedelta(milliseconds=1))
    return moment, moment + step


def fold(text: str) -> str:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(plain.casefold().split())


def _period(told: Json) -> Span:
    start = span(told["start"])[0] if "start" in told else FIRST
    return start, span(told["end"])[1] if "end" in told else LAST


def _concepts(*found: Json) -> list[tuple[str | None, str]]:
    return [(coding.get("system"), coding["code"]) for one in found for coding in one.get("coding", [])]


def _names(body: Json, *parts: str) -> list[str]:
    texts: list[str] = []
    for name in body.get("name", []):
        for part in parts:
            told = name.get(part, [])
            texts += told if isinstance(told, list) else [told]
    return texts


def _observed(body: Json) -> list[Span]:
    if "effectivePeriod" in body:
        return [_period(body["effectivePeriod"])]
    return [span(body["effectiveDateTime"])] if "effectiveDateTime" in body else []


def _quantities(body: Json) -> list[tuple[Decimal, str, str, str]]:
    told = body.get("valueQuantity")
    return [(told["value"], told.get("system", ""), told.get("code", ""), told.get("unit", ""))] if told else []


def _references(told: Json | None) -> list[str]:
    return [told["reference"]] if told and "reference" in told else []


VALUES: dict[tuple[str, str], tuple[str, Callable[[Json], list[Any]]]] = {
    ("Patient", "identifier"): ("token", lambda b: [(i.get("system"), i["value"]) for i in b.get("identifier", [])]),
    ("Patient", "gender"): ("code", lambda b: [b["gender"]] if "gender" in b else []),
    ("Patient", "active"): ("code", lambda b: [str(b["active"]).lower()] if "active" in b else []),
    ("Patient", "family"): ("string", lambda b: _names(b, "family")),
    ("Patient", "given"): ("string", lambda b: _names(b, "given")),
    ("Patient", "name"): ("string", lambda b: _names(b, "family", "given", "text", "prefix", "suffix")),
    ("Patient", "birthdate"): ("date", lambda b: [span(b["birthDate"])] if "birthDate" in b else []),
    ("Patient", "organization"): ("reference", lambda b: _references(b.get("managingOrganization"))),
    ("Patient", "_tag"): ("token", lambda b: [(t.get("system"), t["code"]) for t in b.get("meta", {}).get("tag", [])]),
    ("Organization", "name"): ("string", lambda b: [b["name"]] if "name" in b else []),
    ("Observation", "status"): ("code", lambda b: [b["status"]]),
    ("Observation", "code"): ("token", lambda b: _concepts(b["code"])),
    ("Observation", "category"): ("token", lambda b: _concepts(*b.get("category", []))),
    ("Observation", "subject"): ("reference", lambda b: _references(b.get("subject"))),
    ("Observation", "patient"): (
        "reference",
        lambda b: [one for one in _references(b.get("subject")) if one.startswith("Patient/")],
    ),
    ("Observation", "date"): ("date", _observed),
    ("Observation", "value-quantity"): ("quantity", _quantities),
    ("RiskAssessment", "probability"): (
        "number",
        lambda b: [one["probabilityDecimal"] for one in b.get("prediction", []) if "probabilityDecimal" in one],
    ),
    ("ValueSet", "url"): ("uri", lambda b: [b["url"]] if "url" in b else []),
}
TEXTS: dict[tuple[str, str], Callable[[Json], list[str]]] = {
    ("Observation", "code"): lambda b: [
        *([b["code"]["text"]] if "text" in b["code"] else []),
        *(coding["display"] for coding in b["code"].get("coding", []) if "display" in coding),
    ],
}
REFERENCES = {("Observation", "subject"), ("Observation", "patient"), ("Patient", "organization")}


def _date_fits(prefix: str, low: datetime, high: datetime, value: Span) -> bool:
    within = low <= value[0] and value[1] <= high
    return {
        "eq": within,
        "ne": not within,
        "gt": value[1] > high,
        "lt": value[0] < low,
        "ge": value[1] > high or within,
        "le": value[0] < low or within,
        "sa": value[0] >= high,
        "eb": value[1] <= low,
    }[prefix]


def _number_fits(prefix: str, text: str, value: Decimal) -> bool:
    number = Decimal(text)
    digits = len(text.partition(".")[2])
    half = Decimal(5) if "e" in text else Decimal(5) / 10 ** (digits + 1)
    equal = number - half <= value < number + half
    near = abs(value - number) <= abs(number) / 10
    return {
        "eq": equal,
        "ne": not equal,
        "gt": value > number,
        "lt": value < number,
        "ge": value >= number,
        "le": value <= number,
        "sa": value > number,
        "eb": value < number,
        "ap": near,
    }[prefix]


def _split_prefix(value: str) -> tuple[str, str]:
    return (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)


def _token_fits(wanted: str, value: tuple[str | None, str]) -> bool:
    system, bar, code = wanted.partition("|")
    if not bar:
        return value[1] == wanted
    if not system:
        return value == (None, code)
    return value[0] == system and (not code or value[1] == code)


def _quantity_fits(wanted: str, value: tuple[Decimal, str, str, str]) -> bool:
    amount, _, unit = wanted.partition("|")
    system, _, code = unit.partition("|")
    prefix, number = _split_prefix(amount)
    number_fits = _number_fits(prefix, number, value[0])
    if system:
        return number_fits and value[1:3] == (system, code)
    return number_fits and (not code or code in value[2:4])


def _uri_fits(modifier: str, wanted: str, value: str) -> bool:
    stem = wanted.rstrip("/")
    below = value == wanted or value.startswith(f"{stem}/")
    above = wanted == value or wanted.startswith(value.rstrip("/") + "/")
    return {"": value == wanted, "below": below, "above": above}[modifier]


def _string_fits(modifier: str, wanted: str, value: str) -> bool:
    if modifier == "exact":
        return value == wanted
    return fold(wanted) in fold(value) if modifier == "contains" else fold(value).startswith(fold(wanted))


def _reference_fits(wanted: str, value: str, modifier: str) -> bool:
    if "/" in wanted:
        return value == wanted
    return value == f"{modifier}/{wanted}" if modifier else value.partition("/")[2] == wanted


def fits(kind: str, modifier: str, wanted: str, value: Any) -> bool:
    """Whether one value of a parameter is what one alternative asks for."""
    match kind:
        case "token":
            return _token_fits(wanted, value)
        case "code":
            return bool(value == wanted)
        case "string":
            return _string_fits(modifier, wanted, value)
        case "reference":
            return _reference_fits(wanted, value, modifier)
        case "date":
            prefix, text = _split_prefix(wanted)
            return _date_fits(prefix, *span(text), value)
        case "number":
            return _number_fits(*_split_prefix(wanted), value)
        case "quantity":
            return _quantity_fits(wanted, value)
    return _uri_fits(modifier, wanted, value)


class World:
    """Resources that are searched one by one."""

    def __init__(self, resources: list[Json]) -> None:
        self.resources = resources
        self.by_name = {f"{one['resourceType']}/{one['id']}": one for one in resources}

    def find(self, resource_type: str, terms: list[tuple[str, str]]) -> list[Json]:
        """The resources of a type of which every term holds, in no order."""
        of_type = (one for one in self.resources if one["resourceType"] == resource_type)
        return [one for one in of_type if all(self.holds(one, name, value) for name, value in terms)]

    def holds(self, body: Json, name: str, value: str) -> bool:
        """Whether one parameter holds of one resource."""
        kind = body["resourceType"]
        if name.startswith("_has:"):
            _, source, reference, rest = name.split(":", 3)
            mine = f"{kind}/{body['id']}"
            referring = [one for one in self.resources if one["resourceType"] == source]
            _, read = VALUES[source, reference]
            return any(mine in read(one) and self.holds(one, rest, value) for one in referring)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        if dot:
            _, read = VALUES[kind, code]
            led = [self.by_name.get(one) for one in read(body) if not modifier or one.startswith(f"{modifier}/")]
            code = rest.partition(".")[0].partition(":")[0]
            known = [one for one in led if one and (code == "_id" or (one["resourceType"], code) in VALUES)]
            return any(self.holds(one, rest, value) for one in known)
        return self._plain(body, kind, code, modifier, value)

    def _plain(self, body: Json, kind: str, code: str, modifier: str, value: str) -> bool:
        wanted = value.split(",")
        if code == "_id":
            return body["id"] in wanted
        if code == "code-value-quantity":
            return any(self._both(body, one) for one in wanted)
        how, read = VALUES[kind, code]
        values = read(body)
        if modifier == "missing":
            return (value == "true") is not bool(values or TEXTS.get((kind, code), lambda _: [])(body))
        if modifier == "not":
            return not any(fits(how, "", one, told) for one in wanted for told in values)
        if modifier == "text":
            words = [text.split() for text in map(fold, TEXTS[kind, code](body))]
            suffixes = [" ".join(text[start:]) for text in words for start in range(len(text))]
            return any(suffix.startswith(fold(one)) for one in wanted for suffix in suffixes)
        return any(fits(how, modifier, one, told) for one in wanted for told in values)

    def _both(self, body: Json, wanted: str) -> bool:
        code, _, quantity = wanted.partition("$")
        codes, quantities = _concepts(body["code"]), _quantities(body)
        return any(_token_fits(code, one) for one in codes) and any(_quantity_fits(quantity, one) for one in quantities)


def sort_value(body: Json, code: str, descending: bool) -> Any:
    """What a resource is sorted by, None where it has no value."""
    how, read = VALUES[body["resourceType"], code]
    told = read(body)
    if how == "date":
        values: list[Any] = [one[0] for one in told]
    elif how == "string":
        values = [fold(one) for one in told]
    elif how == "quantity":
        values = [one[0] for one in told]
    elif how == "token":
        values = [form for system, one in told for form in (one, f"{system or ''}|{one}")]
    else:
        values = told
    if not values:
        return None
    return max(values) if descending else min(values)
