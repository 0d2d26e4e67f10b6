"""Messages whose head is known: what MSH decides is decided once for each kind of message of a connection.

A feed sends message after message whose MSH differs in MSH-7 and MSH-10 alone. Route, verdict, plan, charset and the
answer but for three places are the same for all of them, so they are kept by the rest of MSH; of the body only segment
ids and PID-3 are read. Whatever is not plain here (a line feed, a byte beyond ASCII, a second PID, an unusual control
id) is None, and the whole light check of `formats/hl7v2/envelope.py` takes it: both come to the same arrival.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from chartwire.channels.routing import Lanes, patient_lane
from chartwire.core.source import Source
from chartwire.formats.hl7v2.envelope import Envelope, read_identifiers
from chartwire.formats.hl7v2.escapes import DEFAULT_DELIMITERS
from chartwire.formats.hl7v2.parser import PADDING, segment_id
from chartwire.mapping.identity import MERGE_EVENTS
from chartwire.mllp import contract
from chartwire.mllp.contract import Acceptance, Plan, State, Verdict

HEAD_BYTES_MAX: Final = 512
_KINDS_MAX: Final = 64
_MARK: Final = DEFAULT_DELIMITERS.field
_STAMP, _CONTROL_ID, _REST = 6, 9, 10
_LINES_MAX: Final = 1000
_IDENTIFIERS_LETTERS_MAX: Final = 1000
_CODECS: Final = frozenset({"ascii", "utf-8", "iso8859-1", "cp1252"})
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,199}").fullmatch
_SPECIAL: Final = frozenset({"MSH", "MSA", "MRG", "FHS", "BHS"})
_NAMES_MAX: Final = 1024
_names: set[str] = {"", "PID|"}


class Kind(NamedTuple):
    """What all messages of one head have in common. `hashed` is what the body hash begins with."""

    source: Source
    state: State
    event: str
    charset: str
    plan: Plan
    acceptance: Acceptance
    hashed: bytes
    prefix_bytes: int


class Familiar(NamedTuple):
    """One message of a known kind, as far as it differs from the others."""

    kind: Kind
    control_id: str
    body_hash: bytes
    lanes: Lanes


Kinds = dict[tuple[str, ...], Kind]


def recognise(kinds: Kinds, body: bytes) -> Familiar | None:
    """The message where its kind is known and nothing in it is unusual, else None. Never raises."""
    cut = body.find(b"\r", 0, HEAD_BYTES_MAX)
    if cut < 0 or not body.isascii():
        return None
    text = body.decode("ascii")
    head = text[:cut].split(_MARK, _REST)
    if len(head) <= _REST:
        return None
    control_id, stamp = head[_CONTROL_ID], head[_STAMP]
    head[_CONTROL_ID] = head[_STAMP] = ""
    kind = kinds.get(tuple(head))
    if kind is None or "\n" in text or "\x00" in text or not _PLAIN_ID(control_id):
        return None
    identifiers = _identifiers(text[cut + 1 :].rstrip(PADDING).split("\r"))
    if identifiers is None:
        return None
    lanes = patient_lane(read_identifiers(identifiers), kind.source)
    return Familiar(kind, control_id, sha256(kind.hashed + body[kind.prefix_bytes + len(stamp) :]).digest(), lanes)


def _identifiers(lines: list[str]) -> str | None:
    """PID-3 of the only PID, '' without one; None where a line is none of a plain message."""
    names = [line[:4] for line in lines]
    if not (_names.issuperset(names) or _all_plain(names)) or len(lines) > _LINES_MAX:
        return None
    count = names.count("PID|")
    if count != 1:
        return None if count else ""
    fields = lines[names.index("PID|")].split(_MARK, 4)
    found = fields[3] if len(fields) > 3 else ""
    return found if len(found) <= _IDENTIFIERS_LETTERS_MAX else None


def _all_plain(names: Iterable[str]) -> bool:
    """Whether all of these begin lines with a segment id that asks for no attention; kept, so that it is looked at
    once."""
    for name in names:
        if name not in _names:
            if len(name) < 4 or not segment_id(name, _MARK) or name[:3] in _SPECIAL or len(_names) >= _NAMES_MAX:
                return False
            _names.add(name)
    return True


def learn(kinds: Kinds, body: bytes, envelope: Envelope, source: Source, verdict: Verdict, plan: Plan) -> None:
    """Keep the kind of a message that went the whole way, where the next one of it may go the short one.

    That is: accepted by one answer after the commit, in the usual delimiters, no merge, control ids not strict,
    order by patient, nothing that is refused for what stands in the body.
    """
    plain = source.order_key == "patient" and not source.strict_control_ids and not source.refuses
    if verdict.fault or not plain or plan != Plan(plan.code):
        return
    if envelope.charset not in _CODECS or envelope.delimiters[:5] != DEFAULT_DELIMITERS[:5]:
        return
    cut = body.find(b"\r", 0, HEAD_BYTES_MAX)
    event = contract.event_of(envelope)
    acceptance = contract.acceptance(envelope, plan.code)
    if cut < 0 or not body[:cut].isascii() or event in MERGE_EVENTS or acceptance is None:
        return
    head = body[:cut].decode("ascii").split(_MARK, _REST)
    if len(head) <= _REST or head[0] != "MSH":
        return
    before = head[:_STAMP]
    head[_CONTROL_ID] = head[_STAMP] = ""
    if len(kinds) >= _KINDS_MAX:
        kinds.clear()
    kinds[tuple(head)] = Kind(
        source, verdict.state, event, envelope.charset, plan, acceptance,
        "\x00".join(before).encode("ascii"), len(_MARK.join(before)) + 2 * len(_MARK),
    )  # fmt: skip
