"""From a frame's bytes to the inbox: route, judge, plan the answer, submit. One Reception a listener, no socket."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from chartwire.channels.intake import Arrival, Intake
from chartwire.channels.routing import Peer, Refusal, admitted, order_key, reads_the_visit, route
from chartwire.channels.sources import SourceDirectory
from chartwire.core.errors import ChartwireError, ParseError, TransientError
from chartwire.core.ids import uuid7
from chartwire.core.source import Source
from chartwire.core.telemetry import Counter
from chartwire.formats.hl7v2.batch import split
from chartwire.formats.hl7v2.envelope import Envelope, Fault, read_envelope
from chartwire.mllp import contract
from chartwire.mllp.batches import BatchExchange
from chartwire.mllp.contract import Plan, Verdict
from chartwire.mllp.exchange import Exchange, Line
from chartwire.mllp.familiar import Familiar, Kinds, learn, recognise
from chartwire.mllp.fates import Fates
from chartwire.mllp.keeper import Keeper
from chartwire.mllp.verdicts import verdict_on

_ROUTES_CACHED_MAX: Final = 64
_ROUTE_LETTERS_MAX: Final = 512
_EVENT_LETTERS_MAX: Final = 40
_UNROUTED: Final = UUID(int=0)

INBOUND_ACKS = Counter("chartwire_mllp_inbound_acks_total", "Acknowledgements received: counted, never answered")
TURNED_AWAY = Counter("chartwire_mllp_turned_away_total", "Messages that came while their source was paused")
REFUSED = Counter("chartwire_mllp_refused_total", "Messages that no source takes", ("reason",))
_log = structlog.get_logger(__name__)


class Correspondent:
    """One connection as Reception sees it: the peer, and what was found out about it so far."""

    __slots__ = ("allowed", "charset", "kinds", "learns", "line", "peer", "routes", "turned_away", "version")

    def __init__(self, line: Line, peer: Peer) -> None:
        self.line = line
        self.peer = peer
        self.allowed: tuple[Source, ...] = ()
        self.charset: str | None = None
        self.routes: dict[tuple[object, ...], Source | Refusal] = {}
        self.kinds: Kinds = {}
        self.learns = False
        self.turned_away = False
        self.version = -1


class Reception:
    """Takes messages for one listener. `mapped` are the events that have a map."""

    def __init__(
        self,
        listener: str,
        directory: SourceDirectory,
        intake: Intake,
        fates: Fates,
        keeper: Keeper,
        mapped: frozenset[str],
    ) -> None:
        self._listener = listener
        self._directory = directory
        self._intake = intake
        self._fates = fates
        self._keeper = keeper
        self._mapped = mapped

    def receive(self, who: Correspondent, body: bytes, at: datetime, arrived: float) -> Exchange | BatchExchange | None:
        """Take one frame. `at` is UTC, `arrived` on `core.clock.monotonic`. None for what is never answered.

        The exchange becomes ready later, never within this call; then its connection is released.
        """
        if who.version == self._directory.version:
            known = recognise(who.kinds, body)
            if known is not None:
                return self._familiar(who, known, body, at, arrived)
        envelope = self._read(who, body)
        if not envelope.is_batch:
            return self._one(who, envelope, body, at, arrived, None)
        try:
            batch = split(body)
        except ParseError as error:
            fault = Fault("100", error.message, error.location)
            return self._submit(who, envelope, body, at, arrived, None, fault)
        if not batch:
            fault = Fault("100", "a batch without a message", "BHS")
            return self._submit(who, envelope, body, at, arrived, None, fault)

        def member(part: bytes, parent: BatchExchange) -> Exchange | None:
            inner = self._read(who, part)
            fault = Fault("100", "a batch within a batch", "") if inner.is_batch else None
            return self._one(who, inner, part, at, arrived, parent, fault)

        exchange = BatchExchange(who.line, envelope, batch, member, arrived, len(body))
        exchange.start()
        return exchange

    def oversize(self, who: Correspondent, head: bytes, limit_bytes: int, at: datetime, arrived: float) -> Exchange:
        """Answer a message above the limit, of which only `head` is there and kept; the connection then closes."""
        envelope = self._read(who, head)
        exchange = self._submit(who, envelope, head, at, arrived, None, contract.too_large(limit_bytes))
        exchange.closes = True
        return exchange

    def _read(self, who: Correspondent, body: bytes) -> Envelope:
        if who.version != self._directory.version:
            who.version = self._directory.version
            who.allowed = admitted(self._directory.of(self._listener), who.peer)
            who.charset = who.allowed[0].charset if len(who.allowed) == 1 else None
            who.routes.clear()
            who.kinds.clear()
            who.learns = not reads_the_visit(self._directory.all)
        return read_envelope(body, charset=who.charset)

    def _familiar(self, who: Correspondent, known: Familiar, body: bytes, at: datetime, arrived: float) -> Exchange:
        kind, control_id, body_hash, lanes = known
        source, code = kind.source, kind.plan.code
        exchange = Exchange(who.line, self._fates, body, source, kind.plan, arrived, len(body))
        message_id = uuid7()
        ack = contract.accept(kind.acceptance, contract.ack_id(message_id), at, control_id)
        self._intake.submit(
            Arrival(
                source.org, source.id, message_id, at, kind.state, kind.event, control_id, body_hash, lanes.mrn,
                lanes.lane, None, kind.charset, source.effect_mode, code, ack, None, None, None, None, body,
            ),
            exchange,
        )  # fmt: skip
        return exchange

    def _one(
        self, who: Correspondent, envelope: Envelope, body: bytes, at: datetime, arrived: float,
        parent: BatchExchange | None, fault: Fault | None = None,
    ) -> Exchange | None:  # fmt: skip
        if envelope.is_ack:
            INBOUND_ACKS.add()
            return None
        return self._submit(who, envelope, body, at, arrived, parent, fault)

    def _submit(
        self, who: Correspondent, envelope: Envelope, body: bytes, at: datetime, arrived: float,
        parent: BatchExchange | None, fault: Fault | None,
    ) -> Exchange:  # fmt: skip
        source = self._route(who, envelope)
        if isinstance(source, Refusal):
            return self._refuse(who, source, envelope, body, at, arrived, parent, fault)
        if source.charset and source.charset != who.charset:
            envelope = read_envelope(body, charset=source.charset)
        if source.paused or who.turned_away:
            return self._turn_away(who, envelope, source, arrived, len(body), parent)
        if fault is None:
            verdict = verdict_on(envelope, body, source, self._mapped)
        else:
            verdict = Verdict("dead", fault.ack_code, fault, f"hl7_{fault.code}")
        plan = contract.plan(envelope, source, verdict)
        exchange = Exchange(who.line, self._fates, envelope, source, plan, arrived, len(body), parent)
        self._intake.submit(_arrival(envelope, source, verdict, plan, body, at), exchange)
        if who.learns and parent is None:
            learn(who.kinds, body, envelope, source, verdict, plan)
        return exchange

    def _turn_away(
        self, who: Correspondent, envelope: Envelope, source: Source, arrived: float, body_bytes: int,
        parent: BatchExchange | None,
    ) -> Exchange:  # fmt: skip
        """The source is paused: answer as a hub that is unable does. Where that closes the connection, nothing that
        came behind is taken either: the sender sends all of it again, in order."""
        silent = source.ack_mode == "none"
        if silent or source.unable_answers == "close":
            who.turned_away, who.learns = True, False
            who.kinds.clear()
        TURNED_AWAY.add()
        plan = Plan("AA", send=not silent)
        exchange = Exchange(who.line, self._fates, envelope, source, plan, arrived, body_bytes, parent)
        asyncio.get_running_loop().call_soon(_told_unable, exchange)
        return exchange

    def _route(self, who: Correspondent, envelope: Envelope) -> Source | Refusal:
        if sum(map(len, envelope.header[3:7])) + sum(map(len, envelope.visit_location)) > _ROUTE_LETTERS_MAX:
            return route(who.allowed, self._directory.all, envelope)
        key = (envelope.sending_application, envelope.sending_facility, envelope.receiving_application,
               envelope.receiving_facility, envelope.visit_location)  # fmt: skip
        found = who.routes.get(key)
        if found is None:
            found = route(who.allowed, self._directory.all, envelope)
            if len(who.routes) >= _ROUTES_CACHED_MAX:
                who.routes.clear()
            who.routes[key] = found
        return found

    def _refuse(
        self, who: Correspondent, refusal: Refusal, envelope: Envelope, body: bytes, at: datetime, arrived: float,
        parent: BatchExchange | None, fault: Fault | None,
    ) -> Exchange:  # fmt: skip
        """AR (AE where the message cannot even be read), kept with the peer's own source, else in the quarantine."""
        REFUSED.add(1, refusal.code)
        fault = fault or envelope.fault or contract.SENDER_NOT_ALLOWED
        verdict = Verdict("dead", fault.ack_code, fault, refusal.code)
        source = refusal.source
        if source is None:
            exchange = Exchange(who.line, self._fates, envelope, None, Plan(fault.ack_code), arrived, len(body), parent)
            message_id = uuid7()
            ack = contract.answer(envelope, fault.ack_code, message_id, at, fault)
            done = partial(_quarantined, exchange, ack)
            self._keeper.quarantine(who.peer.address, refusal.code, message_id, body, done)
            return exchange
        plan = contract.plan(envelope, source, verdict)
        exchange = Exchange(who.line, self._fates, envelope, source, plan, arrived, len(body), parent)
        arrival = _arrival(envelope, source, verdict, plan, body, at)
        if refusal.code != "names_another_organisation":
            self._intake.submit(arrival, exchange)
            return exchange
        _log.warning("sender_refused", reason=refusal.code, org_id=str(source.org), source_id=str(source.id))
        submit = partial(self._audited, arrival, exchange)
        self._keeper.audit(source.org, f"feed:{source.id}", refusal.code, arrival.id, submit)
        return exchange

    def _audited(self, arrival: Arrival, exchange: Exchange, problem: ChartwireError | None) -> None:
        if problem is None:
            self._intake.submit(arrival, exchange)
        else:
            exchange.unable(problem)
            exchange.door.release()


def _told_unable(exchange: Exchange) -> None:
    exchange.unable(TransientError("this source is paused", code="source_paused"))
    exchange.door.release()


def _quarantined(exchange: Exchange, ack: bytes, problem: ChartwireError | None) -> None:
    if problem is None:
        exchange.finish((ack,))
    else:
        exchange.unable(problem)
    exchange.door.release()


def _arrival(envelope: Envelope, source: Source, verdict: Verdict, plan: Plan, body: bytes, at: datetime) -> Arrival:
    message_id = uuid7()
    fault = verdict.fault
    event = contract.event_of(envelope)
    lanes = order_key(envelope, source, event, body)
    strict = source.strict_control_ids and verdict.state != "dead"
    return Arrival(
        source.org,
        source.id,
        message_id,
        at,
        verdict.state,
        _storable(event)[:_EVENT_LETTERS_MAX],
        _storable(envelope.control_id)[: contract.CONTROL_ID_LETTERS_MAX],
        envelope.body_hash,
        lanes.mrn,
        lanes.lane,
        "{" + ",".join(map(str, lanes.partners)) + "}" if lanes.partners else None,
        envelope.charset,
        source.effect_mode,
        plan.code,
        b"" if plan.wait else contract.answer(envelope, plan.code, message_id, at, fault),
        _reuse_ack(envelope, source, plan, message_id, at) if strict else None,
        verdict.error_code,
        fault.location if fault else None,
        fault.text if fault else None,
        body,
    )


def _reuse_ack(envelope: Envelope, source: Source, plan: Plan, message_id: UUID, at: datetime) -> bytes:
    code = contract.overridden("CE" if plan.code[0] == "C" else "AE", contract.CONTROL_ID_REUSED, source)
    return contract.answer(envelope, code, message_id, at, contract.CONTROL_ID_REUSED)


def _storable(text: str) -> str:
    """`text` as PostgreSQL can hold it: no NUL, no lone surrogate."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
