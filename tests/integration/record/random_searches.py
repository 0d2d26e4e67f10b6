"""Random resources, and random searches for them, from small pools of values so that they meet."""

from decimal import Decimal
from random import Random
from typing import Any

Json = dict[str, Any]

FAMILIES = ("Müller", "Mueller", "muller", "Weber", "weber", "O'Neil Smith", "Ünal")
GIVEN = ("Anna", "Änna", "Ben", "anna maria", "Bo")
DATES = (
    "2020",
    "2020-02",
    "2020-02-29",
    "2020-03-01",
    "2020-03-01T10:30:00Z",
    "2020-03-01T00:30:00+02:00",
    "2020-03-01T10:30:00.250Z",
    "2021-12-31",
)
MOMENTS = ("2020-03-01T10:30:00Z", "2020-03-01T10:30Z", "2020-02-29T22:30:00Z")
SYSTEMS = ("urn:a", "urn:b", None)
CODES = ("x", "y", "z")
NUMBERS = ("5", "5.0", "5.35", "5.4", "5.45", "95", "100", "104.9", "-3", "0")
UCUM = "http://unitsofmeasure.org"
URLS = ("http://a.org/x", "http://a.org/x/y", "http://a.org/x/y/z", "http://a.org/xy", "urn:u:1")
TEXTS = ("Heart rate", "rate of heart", "Blood Sugar")
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


def resources(random: Random) -> list[Json]:
    """A handful of each type; some refer to what is not there."""
    found = [{"resourceType": "Organization", "id": f"org{n}", "name": random.choice(FAMILIES)} for n in range(2)]
    found += [_patient(random, n) for n in range(5)]
    found += [_observation(random, n) for n in range(9)]
    found += [_risk(random, n) for n in range(3)]
    found += [
        _some({"resourceType": "ValueSet", "id": f"vs{n}", "status": "draft"}, random, url=random.choice(URLS))
        for n in range(3)
    ]
    return found


def _some(body: Json, random: Random, **members: Any) -> Json:
    """The body with some of the members."""
    return body | {name: value for name, value in members.items() if random.random() < 0.75}


def _patient(random: Random, number: int) -> Json:
    names = [
        _some({"family": random.choice(FAMILIES)}, random, given=random.sample(GIVEN, random.randint(1, 2)))
        for _ in range(random.choice((1, 1, 2)))
    ]
    identifiers = [
        _some({"value": f"{number}{random.choice(CODES)}"}, random, system=random.choice(("urn:a", "urn:b")))
        for _ in range(random.choice((1, 2)))
    ]
    return _some(
        {"resourceType": "Patient", "id": f"p{number}"},
        random,
        name=names,
        identifier=identifiers,
        gender=random.choice(("male", "female")),
        active=random.choice((True, False)),
        birthDate=random.choice([one for one in DATES if "T" not in one]),
        managingOrganization={"reference": f"Organization/org{random.randint(0, 2)}"},
        meta={"tag": [coding(random)]},
    )


def coding(random: Random) -> Json:
    system = random.choice(SYSTEMS)
    return {"code": random.choice(CODES), **({"system": system} if system else {})}


def _observation(random: Random, number: int) -> Json:
    code = _some({"coding": [coding(random) for _ in range(random.choice((1, 2)))]}, random, text=random.choice(TEXTS))
    body = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": random.choice(("final", "amended")),
        "code": code,
    }
    body = _some(
        body,
        random,
        category=[{"coding": [coding(random)]}],
        subject={"reference": random.choice(("Patient/p0", "Patient/p1", "Patient/p2", "Patient/p9", "Device/p1"))},
        valueQuantity=_some(
            {"value": Decimal(random.choice(NUMBERS)), "unit": "kg"},
            random,
            system=random.choice((UCUM, "urn:u")),
            code="kg",
        ),
    )
    if random.random() < 0.4:
        ends = sorted(random.sample([one for one in DATES if len(one) == 10], 2))
        period = _some({}, random, start=ends[0], end=ends[1]) or {"start": ends[0]}
        return body | {"effectivePeriod": period}
    return _some(body, random, effectiveDateTime=random.choice(DATES))


def _risk(random: Random, number: int) -> Json:
    predictions = [{"probabilityDecimal": Decimal(random.choice(NUMBERS))} for _ in range(random.choice((1, 2)))]
    body = {
        "resourceType": "RiskAssessment",
        "id": f"r{number}",
        "status": "final",
        "subject": {"reference": "Patient/p0"},
    }
    return _some(body, random, prediction=predictions)


def search(random: Random) -> tuple[str, list[tuple[str, str]]]:
    """A type, and one to three terms."""
    kind = random.choice(_TYPES)
    return kind, [_term(random, kind) for _ in range(random.choice((1, 1, 2, 3)))]


def search_of_several(random: Random) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Types, and one or two terms that each of them knows and means alike."""
    types, codes = random.choice(_SHARED)
    terms: list[tuple[str, str]] = []
    while len(terms) < random.choice((1, 1, 2)):
        name, value = _plain(random, types[0])
        if name.partition(":")[0] in codes:
            terms.append((name, value))
    return types, terms


def _term(random: Random, kind: str) -> tuple[str, str]:
    if kind == "Patient" and random.random() < 0.2:
        name, value = _plain(random, "Observation")
        return f"_has:Observation:{random.choice(('patient', 'subject'))}:{name}", value
    if kind == "Observation" and random.random() < 0.25:
        name, value = _plain(random, "Patient")
        return f"{random.choice(('patient', 'subject:Patient', 'subject'))}.{name}", value
    if kind == "Organization" and random.random() < 0.4:
        name, value = _plain(random, "Observation")
        return f"_has:Patient:organization:_has:Observation:patient:{name}", value
    if kind == "Organization" and random.random() < 0.4:
        name, value = _plain(random, "Patient")
        return f"_has:Patient:organization:{name}", value
    if kind == "Observation" and random.random() < 0.05:
        return f"subject:Patient.organization{random.choice(('', ':Organization'))}.name", _string(random)
    if kind == "Patient" and random.random() < 0.1:
        return f"organization{random.choice(('', ':Organization'))}.name", _string(random)
    return _plain(random, kind)


def _plain(random: Random, kind: str) -> tuple[str, str]:
    code, how = random.choice(_KINDS[kind])
    if code == "_id":
        return code, _many(random, lambda: random.choice(("p0", "p1", "o3", "r1", "vs2", "org0", "nobody")))
    if random.random() < 0.08 and code != "code-value-quantity":
        return f"{code}:missing", random.choice(("true", "false"))
    modifier = random.choice(_MODIFIERS.get(how, ("",)))
    if how == "code-text":
        return f"{code}:text", random.choice(("heart", "RATE", "rate of", "sugar", "blood sugar"))
    value = _many(random, lambda: _VALUES[how](random))
    if modifier == "exact":
        value = random.choice((*FAMILIES, *GIVEN))
    if modifier == "contains":
        value = random.choice(("ull", "Web", "neil s", "ann", "eber", "nna"))
    return f"{code}:{modifier}" if modifier else code, value


def _many(random: Random, one: Any) -> str:
    return ",".join(one() for _ in range(random.choice((1, 1, 1, 2, 3))))


def _token(random: Random) -> str:
    code = random.choice(CODES)
    return random.choice((code, f"urn:a|{code}", f"urn:b|{code}", f"|{code}", "urn:a|"))


def _string(random: Random) -> str:
    text = random.choice((*FAMILIES, *GIVEN))
    return text[: random.randint(1, len(text))].strip()


def _date(random: Random) -> str:
    return random.choice(PREFIXES) + random.choice((*DATES, *MOMENTS))


def _number(random: Random) -> str:
    return random.choice((*PREFIXES, "ap")) + random.choice((*NUMBERS, "1e2"))


def _quantity(random: Random) -> str:
    return _number(random) + random.choice(("", "||kg", "|urn:u|kg", f"|{UCUM}|kg", "||g"))


_TYPES = (
    *["Patient"] * 4,
    *["Observation"] * 6,
    "Organization",
    "RiskAssessment",
    "RiskAssessment",
    "ValueSet",
    "ValueSet",
)
_SHARED = (
    (("Patient", "Organization"), ("name", "active", "identifier", "_tag", "_id")),
    (("Observation", "RiskAssessment"), ("date", "patient", "_id")),
    (("Patient", "Observation", "ValueSet"), ("identifier", "_id")),
)
_KINDS = {
    "Organization": (("name", "string"), ("_id", "id")),
    "Patient": (
        ("identifier", "identifier"),
        ("gender", "gender"),
        ("active", "boolean"),
        ("family", "string"),
        ("given", "string"),
        ("name", "string"),
        ("birthdate", "date"),
        ("organization", "organization"),
        ("_tag", "token"),
        ("_id", "id"),
    ),
    "Observation": (
        ("status", "status"),
        ("code", "token"),
        ("code", "code-text"),
        ("category", "token"),
        ("subject", "subject"),
        ("patient", "patient"),
        ("date", "date"),
        ("value-quantity", "quantity"),
        ("code-value-quantity", "composite"),
        ("_id", "id"),
    ),
    "RiskAssessment": (("probability", "number"), ("_id", "id")),
    "ValueSet": (("url", "uri"), ("_id", "id")),
}
_MODIFIERS: dict[str, tuple[str, ...]] = {
    "string": ("", "", "exact", "contains"),
    "token": ("", "", "not"),
    "identifier": ("", "", "not"),
    "gender": ("", "not"),
    "status": ("", "not"),
    "subject": ("", "Patient", "Device"),
    "uri": ("", "below", "above"),
}
_VALUES = {
    "identifier": lambda random: (
        random.choice(("", "urn:a|", "urn:b|", "|")) + f"{random.randint(0, 5)}{random.choice(CODES)}"
    ),
    "gender": lambda random: random.choice(("male", "female")),
    "boolean": lambda random: random.choice(("true", "false")),
    "status": lambda random: random.choice(("final", "amended", "entered-in-error")),
    "string": _string,
    "date": _date,
    "token": _token,
    "code-text": _token,
    "number": _number,
    "quantity": _quantity,
    "organization": lambda random: random.choice(("org0", "Organization/org1", "org2")),
    "subject": lambda random: random.choice(("p0", "p1", "p9")),
    "patient": lambda random: random.choice(("p0", "Patient/p1", "Patient/p2,p0")),
    "composite": lambda random: random.choice(("x", "urn:a|y", "|z")) + "$" + _quantity(random),
    "uri": lambda random: random.choice(URLS),
}
SORTS = {
    "Organization": ("name", "_id"),
    "Patient": ("family", "birthdate", "gender", "_id"),
    "Observation": ("date", "code", "value-quantity", "_id"),
    "RiskAssessment": ("_id",),
    "ValueSet": ("_id",),
}
