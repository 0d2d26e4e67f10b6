"""FHIR files as pieces to send: Bundles that ask for something as they are, all other resources gathered.

Directory resources come first where a file's name tells (Synthea's `hospitalInformation*.json`, bulk export's
`Practitioner.ndjson`), then patients, then what refers to them.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from chartwire.core.limits import BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX

_LINES = (".ndjson", ".jsonl")
_KNOWN = (".json", *_LINES)
_ASKING = frozenset({"transaction", "batch"})
_ORDER = (
    re.compile(r"hospital|organi[sz]ation|location|practitioner", re.IGNORECASE),
    re.compile(r"^(patient|person)", re.IGNORECASE),
)


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()


class _Document(msgspec.Struct):
    kind: str = msgspec.field(name="resourceType")
    id: str = ""
    type: Any = None
    entry: list[_Entry] = []


_decoder = msgspec.json.Decoder(_Document)


@dataclass(frozen=True, slots=True)
class Single:
    """One resource, its place in the files, and how it is written: PUT where it has an id, else POST."""

    place: str
    text: bytes
    kind: str
    id: str

    @property
    def entry(self) -> bytes:
        """Its entry in a Bundle."""
        method, url = ("PUT", f"{self.kind}/{self.id}") if self.id else ("POST", self.kind)
        return b'{"resource":%s,"request":{"method":"%s","url":"%s"}}' % (self.text, method.encode(), url.encode())


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request carries: a Bundle as it stood in `file`, or `singles`, all `together` or each by itself."""

    file: str
    body: bytes
    count: int
    singles: tuple[Single, ...] = ()
    together: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice is the same as once: every resource of it says its id."""
        return bool(self.singles) and all(one.id for one in self.singles)

    def place(self, index: int) -> str:
        """Where in the files an entry stands."""
        return self.singles[index].place if self.singles else f"{self.file} entry[{index}]"

    def parts(self) -> tuple["Piece", ...]:
        """What to send where the whole was refused, as one resource may spoil others: what came singly each by itself,
        and where not even that can be read in fewer requests. Nothing where there is no such way."""
        if self.together:
            return (_gathered(self.singles, together=False),)
        if len(self.singles) < 2:
            return ()
        middle = len(self.singles) // 2
        return tuple(_gathered(half, together=False) for half in (self.singles[:middle], self.singles[middle:]))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be read as FHIR JSON, and why."""

    place: str
    reason: str


def _gathered(singles: Sequence[Single], *, together: bool) -> Piece:
    kind, entries = b"transaction" if together else b"batch", b",".join(one.entry for one in singles)
    body = b'{"resourceType":"Bundle","type":"%s","entry":[%s]}' % (kind, entries)
    return Piece(singles[0].place, body, len(singles), tuple(singles), together)


def phases(paths: Iterable[Path]) -> list[list[Path]]:
    """The files, by when they are sent: all of a phase before the next begins. Raises OSError for what is not there."""
    ranked: list[list[Path]] = [[] for _ in range(len(_ORDER) + 1)]
    for file in sorted({file for path in paths for file in _found(path)}):
        ranked[_rank(file.name)].append(file)
    return [rank for rank in ranked if rank]


def read_file(path: Path, singles_max: int) -> Iterator[Piece | Unreadable]:
    """The pieces of a file; resources that came singly in transactions of at most `singles_max`."""
    gathered: list[Single] = []
    for one in _lines(path) if _suffix(path) in _LINES else _document(path):
        if not isinstance(one, Single):
            yield one
            continue
        gathered.append(one)
        if len(gathered) >= singles_max:
            yield _gathered(gathered, together=True)
            gathered = []
    if gathered:
        yield _gathered(gathered, together=True)


def texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every text of a file with its place: each line of NDJSON, any other file as a whole."""
    with _opened(path) as file:
        if _suffix(path) not in _LINES:
            yield str(path), file.read()
            return
        for number, line in enumerate(file, start=1):
            if text := line.strip():
                yield f"{path}:{number}", text


def _rank(name: str) -> int:
    return next((rank for rank, names in enumerate(_ORDER) if names.search(name)), len(_ORDER))


def _found(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (one for one in path.rglob("*") if one.is_file() and _suffix(one) in _KNOWN)
    else:
        path.stat()
        yield path


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")


def _lines(path: Path) -> Iterator[Single | Unreadable]:
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if text := line.strip():
                yield _single(f"{path}:{number}", text)


def _document(path: Path) -> Iterator[Piece | Single | Unreadable]:
    with _opened(path) as file:
        text = file.read(BUNDLE_BYTES_MAX + 1)
    if len(text) > BUNDLE_BYTES_MAX:
        yield Unreadable(str(path), f"holds more than {BUNDLE_BYTES_MAX} bytes: split it, or write NDJSON")
        return
    try:
        document = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        yield Unreadable(str(path), "is no FHIR resource in JSON")
        return
    if document.kind != "Bundle":
        yield _single(str(path), text.strip())
    elif document.type not in _ASKING:
        for index, entry in enumerate(document.entry):
            if bytes(entry.resource):
                yield _single(f"{path} entry[{index}]", bytes(entry.resource))
    elif len(document.entry) > BUNDLE_ENTRIES_MAX:
        yield Unreadable(str(path), f"has more than {BUNDLE_ENTRIES_MAX} entries: send several Bundles")
    else:
        yield Piece(str(path), text, len(document.entry))


def _single(place: str, text: bytes) -> Single | Unreadable:
    try:
        document = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Unreadable(place, "is no FHIR resource in JSON")
    return Single(place, text, document.kind, document.id)
