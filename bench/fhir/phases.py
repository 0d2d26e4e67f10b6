"""The requests of each phase, over a population whose ids are known: data, the same for every server."""

import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bench.fhir.population import CATEGORIES, LOINC, NUMBERS, Json, key_of, person, resources
from bench.fhir.wire import Ask

_NEW = itertools.count(10_000_000)


@dataclass(frozen=True, slots=True)
class World:
    """How a server was filled: ids of its patients by number, and of an Observation of each."""

    patients: list[str]
    observations: list[str]

    def numbers(self) -> Iterator[int]:
        """Numbers of patients, again and again, in no order that a cache likes."""
        dice = random.Random(17)
        while True:
            yield dice.randrange(len(self.patients))


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of request. `resources`: how many each one writes; `budget_ms` of CPU, where there is one."""

    name: str
    asks: Callable[[World], Iterator[Ask]]
    budget_ms: float | None = None
    resources: int = 1
    connections: tuple[int, ...] = (8,)


def _gets(path: Callable[[World, int], str]) -> Callable[[World], Iterator[Ask]]:
    return lambda world: (Ask("GET", path(world, number)) for number in world.numbers())


def _patient(world: World, number: int) -> str:
    return f"Patient/{world.patients[number]}"


def _identifier(_: World, number: int) -> str:
    return f"/Patient?identifier={NUMBERS}|{person(number).number}"


def _family(_: World, number: int) -> str:
    return f"/Patient?family={person(number).family}&birthdate={person(number).born}"


def _findings(world: World, number: int) -> str:
    return f"/Observation?subject={_patient(world, number)}&category={CATEGORIES}|vital-signs&_sort=-date&_count=20"


def _observation_of(world: World, number: int) -> Json:
    made = dict(
        resources(
            number % len(world.patients), lambda _, kind: f"{kind}/{world.patients[number % len(world.patients)]}"
        )
    )
    observation = made[key_of(number % len(world.patients), "Observation", 0)]
    return {name: value for name, value in observation.items() if name != "encounter"}


def _creates(world: World) -> Iterator[Ask]:
    for number in world.numbers():
        yield Ask("POST", "/Observation", _text(_observation_of(world, number)))


def _updates(world: World) -> Iterator[Ask]:
    for turn, number in enumerate(world.numbers()):
        body = _observation_of(world, number) | {"id": world.observations[number], "note": [{"text": f"turn {turn}"}]}
        yield Ask("PUT", f"/Observation/{world.observations[number]}", _text(body))


def _patches(world: World) -> Iterator[Ask]:
    for turn, number in enumerate(world.numbers()):
        body = json.dumps([{"op": "add", "path": "/valueQuantity/value", "value": turn % 90 + 50}]).encode()
        yield Ask("PATCH", f"/Observation/{world.observations[number]}", body, (), "application/json-patch+json")


def _conditional(world: World) -> Iterator[Ask]:
    for number in world.numbers():
        _, patient = next(resources(number, lambda key, kind: f"{kind}/{key}"))
        condition = (("If-None-Exist", f"identifier={NUMBERS}|{person(number).number}"),)
        yield Ask("POST", "/Patient", _text(patient), condition)


def _transactions(size: int, kind: str = "transaction") -> Callable[[World], Iterator[Ask]]:
    def asks(world: World) -> Iterator[Ask]:
        for number in world.numbers():
            entries = [
                {
                    "resource": _observation_of(world, number + count),
                    "request": {"method": "POST", "url": "Observation"},
                }
                for count in range(size)
            ]
            yield Ask("POST", "", _text({"resourceType": "Bundle", "type": kind, "entry": entries}))

    return asks


def people(count: int) -> Callable[[World], Iterator[Ask]]:
    """Transactions of `count` whole new patients each, as Synthea writes them."""

    def asks(_: World) -> Iterator[Ask]:
        while True:
            yield Ask("POST", "", _text(bundle_of([next(_NEW) for _ in range(count)])))

    return asks


def bundle_of(numbers: list[int]) -> Json:
    """A transaction with all resources of some patients, which refer to each other by `urn:uuid:`."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{key}",
            "resource": resource,
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
        for number in numbers
        for key, resource in resources(number, lambda key, _: f"urn:uuid:{key}")
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _text(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


PHASES = (
    Phase("read", _gets(lambda world, n: f"/{_patient(world, n)}"), 0.15, connections=(1, 8, 32)),
    Phase("search by identifier", _gets(_identifier), 0.30, connections=(1, 8, 32)),
    Phase("family and birth date", _gets(_family)),
    Phase("Observation by subject and category, sorted", _gets(_findings), 0.5),
    Phase("_include", _gets(lambda world, n: f"{_findings(world, n)}&_include=Observation:subject")),
    Phase("_revinclude", _gets(lambda w, n: f"{_identifier(w, n)}&_revinclude=Condition:subject"), 0.4),
    Phase("chain", _gets(lambda _, n: f"/Condition?subject:Patient.identifier={NUMBERS}|{person(n).number}")),
    Phase("code search of 50", _gets(lambda _, __: f"/Observation?code={LOINC}|8867-4&_count=50")),
    Phase("count", _gets(lambda w, n: f"/Observation?subject={_patient(w, n)}&_summary=count")),
    Phase("$everything", _gets(lambda world, n: f"/{_patient(world, n)}/$everything"), 4.0),
    Phase("history", _gets(lambda world, n: f"/{_patient(world, n)}/_history")),
    Phase("create", _creates, 0.9, connections=(1, 8, 32)),
    Phase("update", _updates, 1.1),
    Phase("JSON Patch", _patches),
    Phase("conditional create, met", _conditional),
    Phase("transaction of 5", _transactions(5), resources=5),
    Phase("transaction of 20", _transactions(20), resources=20),
    Phase("batch of 20", _transactions(20, "batch"), resources=20),
    Phase("Synthea-like transaction of 170", people(10), 0.7, resources=170, connections=(1, 4)),
    Phase("Synthea-like transaction of 1,020", people(60), 0.7, resources=1_020, connections=(1,)),
)
BY_NAME: Mapping[str, Phase] = {phase.name: phase for phase in PHASES}
