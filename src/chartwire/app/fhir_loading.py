"""A load of FHIR files: what was carried before, what is sent, what became of it.

What was carried is remembered by the hash of its content, so an interrupted load goes on where it ended, and a file
that was mended is sent again. A request without an answer is sent again under the same Idempotency-Key: nothing is
loaded twice. What is refused goes to a file with its place, and the rest goes on.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from chartwire.app.fhir_client import FhirClient, Reply
from chartwire.app.fhir_files import Piece, Unreadable, read_file
from chartwire.core.clock import monotonic
from chartwire.core.errors import AuthError, ChartwireError, TransientError

Json = dict[str, Any]
PLACE = "https://chartwire.org/fhir/load-place"
"""The extension of an OperationOutcome that says where in the files the resource stood."""

_TRIES_MAX = 8
_BACKOFF_MAX_S = 30.0
_LATER = frozenset({429, 502, 503, 504})
_UNWELCOME = frozenset({401, 403})


@dataclass(slots=True)
class Tally:
    """Resources by what became of them; `failed` ones got no answer that tells."""

    files: int = 0
    loaded: int = 0
    refused: int = 0
    failed: int = 0
    before: int = 0
    began_s: float = field(default_factory=monotonic)

    @property
    def seconds(self) -> float:
        """Since the load began."""
        return monotonic() - self.began_s

    @property
    def per_second(self) -> float:
        """Resources loaded a second."""
        return self.loaded / max(self.seconds, 1e-9)


class Ledger:
    """What was carried to one server, in a file that is only appended to; and the file of what was refused now."""

    def __init__(self, state: Path, errors: Path, url: str) -> None:
        self._url = url
        self._done = set(state.read_text(encoding="ascii").split()) if state.exists() else set[str]()
        self._state: IO[str] = state.open("a", encoding="ascii")
        self._errors: IO[str] = errors.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.close()
        self._errors.close()

    def name(self, piece: Piece) -> str:
        """What a piece is called at this server: also its Idempotency-Key."""
        return hashlib.sha256(self._url.encode() + b"\x00" + piece.body).hexdigest()

    def knows(self, name: str) -> bool:
        """Whether all of it was carried before."""
        return name in self._done

    def carried(self, name: str) -> None:
        """All of it was."""
        self._state.write(f"{name}\n")
        self._state.flush()

    def refuse(self, place: str, outcome: Json) -> None:
        """Keep why something was refused."""
        extensions = [*outcome.get("extension", ()), {"url": PLACE, "valueString": place}]
        self._errors.write(json.dumps({**outcome, "extension": extensions}, ensure_ascii=False) + "\n")
        self._errors.flush()


class Loader:
    """Sends pieces by `clients`, each its own connection. `told` is called whenever the tally changed."""

    def __init__(self, clients: Iterable[FhirClient], ledger: Ledger, told: Callable[[Tally], None]) -> None:
        self._clients = list(clients)
        self._ledger = ledger
        self._told = told
        self.tally = Tally()

    async def load(self, phases: Iterable[list[Path]], singles_max: int) -> None:
        """Send every file, phase after phase. Raises AuthError where the key does not serve, TransientError where
        nothing answers."""
        for files in phases:
            pieces = self._pieces(files, singles_max)
            try:
                async with asyncio.TaskGroup() as group:
                    for client in self._clients:
                        group.create_task(self._send_all(client, pieces))
            except* ChartwireError as errors:
                raise _first(errors) from None

    def _pieces(self, files: Iterable[Path], singles_max: int) -> Iterator[Piece]:
        for file in files:
            for piece in read_file(file, singles_max):
                if isinstance(piece, Piece):
                    yield piece
                else:
                    self._refuse_unread(piece)
            self.tally.files += 1
            self._told(self.tally)

    def _refuse_unread(self, unreadable: Unreadable) -> None:
        self.tally.refused += 1
        self._ledger.refuse(unreadable.place, outcome("structure", unreadable.reason))

    async def _send_all(self, client: FhirClient, pieces: Iterator[Piece]) -> None:
        for piece in pieces:
            await self._carry(client, piece)

    async def _carry(self, client: FhirClient, piece: Piece) -> None:
        name = self._ledger.name(piece)
        if self._ledger.knows(name):
            self.tally.before += piece.count
        elif await self._send(client, piece):
            self._ledger.carried(name)
        self._told(self.tally)

    async def _send(self, client: FhirClient, piece: Piece) -> bool:
        """Send a piece, in parts where the whole is refused; whether all of it is in."""
        headers = {} if piece.repeatable else {"Idempotency-Key": self._ledger.name(piece)}
        reply = await self._sent(client, piece.body, headers)
        if reply is None:
            self.tally.failed += piece.count
            reason = "the server did not tell what became of it: load again"
            self._ledger.refuse(piece.place(0), outcome("transient", reason))
            return False
        if reply.status < 300 or not (parts := piece.parts()):
            return self._settle(piece, reply)
        return all([await self._send(client, part) for part in parts])

    async def _sent(self, client: FhirClient, body: bytes, headers: Mapping[str, str]) -> Reply | None:
        """The server's answer; None when it had none that would stay. Raises what no patience mends."""
        for number in range(_TRIES_MAX):
            wait_s = min(0.25 * 2**number, _BACKOFF_MAX_S)
            try:
                reply = await client.post(body, headers)
            except TransientError as error:
                if error.code != "no_answer" and number == _TRIES_MAX - 1:
                    raise
            else:
                if reply.status in _UNWELCOME:
                    raise AuthError("the server refuses the key, or it lacks a scope", code="credential_invalid")
                if reply.status not in _LATER:
                    return reply
                wait_s = float(reply.headers.get("retry-after", wait_s))
            await asyncio.sleep(wait_s)
        return None

    def _settle(self, piece: Piece, reply: Reply) -> bool:
        """Count what the answer says of each entry; whether all of the piece is in."""
        if reply.status >= 300:
            self.tally.refused += piece.count
            self._ledger.refuse(piece.place(0) if piece.singles else piece.file, _outcome_of(reply))
            return False
        entries = msgspec.json.decode(bytes(reply.body)).get("entry", [])
        bad = [(index, entry) for index, entry in enumerate(entries) if not _went_well(entry)]
        for index, entry in bad:
            told = entry.get("response", {}).get("outcome") or outcome("exception", "refused without a reason")
            self._ledger.refuse(piece.place(index), told)
        self.tally.refused += len(bad)
        self.tally.loaded += len(entries) - len(bad)
        return not bad


def outcome(code: str, text: str) -> Json:
    """An OperationOutcome of our own."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": text}]}


def _outcome_of(reply: Reply) -> Json:
    try:
        told = msgspec.json.decode(bytes(reply.body), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = {}
    found = told.get("resourceType") == "OperationOutcome"
    return told if found else outcome("exception", f"the server answered {reply.status}")


def _went_well(entry: Json) -> bool:
    return str(entry.get("response", {}).get("status", "")).startswith("2")


def _first(errors: "ExceptionGroup[ChartwireError]") -> BaseException:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
