"""FHIR clients that create, update and send transactions, repeat what was not answered, and log what they were told."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

from chartwire.core.ids import uuid7

MARKS = "urn:chaos:mark"
_BOUNDED_S = 60.0
_ANSWER_S = 30.0
_UNABLE = (409, 503)
_BREAKS = (aiohttp.ClientError, OSError, TimeoutError)
Json = dict[str, Any]


@dataclass(slots=True)
class Ledger:
    """What FHIR clients wrote, by mark (the value of an identifier), and what they were told.

    `resources`: marks that stand once, under these ids as told. `wholes`: marks of transactions with how many
    resources they make, and those told to be made; the others made all or none. `refused`: marks of what was refused.
    `values`: what acknowledged updates of a resource wrote, in their order.
    """

    resources: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    wholes: dict[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    values: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


class FhirCaller:
    """One FHIR client with a patient of its own, and with practitioners that every client creates under a condition."""

    may_answer = (200, 201, 409, 412, 503)

    def __init__(self, name: str, port: int, api_key: str, seed: int, ledger: Ledger, *, large: int = 0) -> None:
        self.answered: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.breaks = 0
        self.finished: Counter[str] = Counter()
        self._ledger = ledger
        self._name = name
        self._base = f"http://127.0.0.1:{port}/fhir/R4"
        self._key = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/fhir+json"}
        self._random = random.Random(seed)
        self._numbers: Iterator[int] = count()
        self._shared: Iterator[int] = count()
        self._large = large
        self._patient = ""
        self._version = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop`, and finish what was begun."""
        works = [self._create, self._create_once_for_all, self._update, self._transact, self._transact_in_vain]
        works += [self._transact_at_risk] + [self._transact_much] * bool(self._large)
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(headers=self._key, timeout=timeout) as self._session:
            await self._create_patient()
            while not stop.is_set():
                for work in self._random.sample(works, len(works)):
                    await work()
                    self.finished[work.__name__.strip("_")] += 1
                    await asyncio.sleep(0.01)

    # What it does -----------------------------------------------------------------------------------------------------

    async def _create_patient(self) -> None:
        mark = self._mark("patient")
        status, body = await self._until_answered("POST", "/Patient", _patient(mark), _once())
        assert status == 201, (status, body)
        self._patient, self._version = body["id"], 1
        self._ledger.resources[mark].add(body["id"])

    async def _create(self) -> None:
        """A create under an Idempotency-Key: the same resource however often it is sent."""
        mark = self._mark("create")
        status, body = await self._until_answered("POST", "/Observation", self._observation(mark), _once())
        assert status == 201, (status, body)
        self._ledger.resources[mark].add(body["id"])

    async def _create_once_for_all(self) -> None:
        """A conditional create that other clients make too, without a key: the condition alone makes it safe."""
        mark = f"shared-{next(self._shared)}"
        asked = {"If-None-Exist": f"identifier={MARKS}|{mark}"}
        status, body = await self._until_answered("POST", "/Practitioner", _practitioner(mark), asked)
        assert status in {200, 201}, (status, body)
        self._ledger.resources[mark].add(body["id"])

    async def _update(self) -> None:
        """An update of the version last seen. Where the answer to one was lost, its repetition may be refused."""
        value = next(self._numbers)
        body = {**_patient(self._mark_of_patient()), "id": self._patient, "multipleBirthInteger": value}
        asked = {"If-Match": f'W/"{self._version}"'}
        status, told = await self._until_answered("PUT", f"/Patient/{self._patient}", body, asked)
        if status == 412:
            status, told = await self._until_answered("GET", f"/Patient/{self._patient}")
            assert told["multipleBirthInteger"] == value, "nobody else writes this patient"
        assert status == 200, (status, told)
        self._version = int(told["meta"]["versionId"])
        self._ledger.values[self._patient].append(value)

    async def _transact(self) -> None:
        await self._whole(self._mark("whole"), self._random.randint(2, 6))

    async def _transact_much(self) -> None:
        await self._whole(self._mark("large"), self._large)

    async def _whole(self, mark: str, size: int) -> None:
        """A transaction under an Idempotency-Key."""
        self._ledger.wholes[mark] = size
        status, body = await self._until_answered("POST", "", self._transaction(mark, size), _once())
        assert status == 200, (status, body)
        assert [entry["response"]["status"][:3] for entry in body["entry"]] == ["201"] * size
        self._ledger.made.add(mark)

    async def _transact_at_risk(self) -> None:
        """A transaction without a key, sent once: all of it or nothing, known or not."""
        mark, size = self._mark("risk"), self._random.randint(2, 6)
        self._ledger.wholes[mark] = size
        try:
            status, _ = await self._call("POST", "", self._transaction(mark, size), {})
        except _BREAKS:
            self.breaks += 1
            return
        if status == 200:
            self._ledger.made.add(mark)

    async def _transact_in_vain(self) -> None:
        """A transaction whose last entry wants a version that never was."""
        mark = self._mark("vain")
        bundle = self._transaction(mark, 3)
        stale = {**_patient(self._mark_of_patient()), "id": self._patient}
        request = {"method": "PUT", "url": f"Patient/{self._patient}", "ifMatch": 'W/"1000000"'}
        bundle["entry"].append({"resource": stale, "request": request})
        status, body = await self._until_answered("POST", "", bundle)
        assert status == 412, (status, body)
        self._ledger.refused.add(mark)

    # What it sends ----------------------------------------------------------------------------------------------------

    def _mark(self, kind: str) -> str:
        return f"{self._name}-{kind}-{next(self._numbers)}"

    def _mark_of_patient(self) -> str:
        return f"{self._name}-patient-0"

    def _observation(self, mark: str) -> Json:
        return {
            "resourceType": "Observation",
            "identifier": [{"system": MARKS, "value": mark}],
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": f"Patient/{self._patient}"},
            "effectiveDateTime": "2026-02-03T04:05:06+01:00",
            "valueQuantity": {"value": self._random.randint(40, 180), "unit": "/min"},
        }

    def _transaction(self, mark: str, size: int) -> Json:
        request = {"method": "POST", "url": "Observation"}
        entries = [{"resource": self._observation(mark), "request": request} for _ in range(size)]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    # How it asks ------------------------------------------------------------------------------------------------------

    async def _until_answered(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Json]:
        """The same request until it is answered by more than that the server is unable."""
        async with asyncio.timeout(_BOUNDED_S):
            while True:
                try:
                    status, told = await self._call(method, path, body, headers or {})
                except _BREAKS:
                    self.breaks += 1
                else:
                    if status not in _UNABLE:
                        return status, told
                await asyncio.sleep(0.05)

    async def _call(self, method: str, path: str, body: Json | None, headers: Mapping[str, str]) -> tuple[int, Json]:
        request_id = str(uuid7())
        told = {**headers, "X-Request-Id": request_id}
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, self._base + path, data=data, headers=told) as answer:
            content = await answer.read()
            self.statuses[answer.status] += 1
            if answer.status not in _UNABLE:
                self.answered.append(answer.headers["X-Request-Id"])
            return answer.status, json.loads(content)


def at_work(callers: Sequence[FhirCaller]) -> int:
    """How much callers have finished."""
    return sum(caller.finished.total() for caller in callers)


def _once() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid7())}


def _patient(mark: str) -> Json:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": MARKS, "value": mark}],
        "name": [{"family": "Chaos", "given": [mark]}],
        "birthDate": "1984-02-29",
    }


def _practitioner(mark: str) -> Json:
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": MARKS, "value": mark}],
        "name": [{"family": "Shared", "given": [mark]}],
    }
