"""A source as people write it, in the API and in configuration files: members, defaults, and what is wrong with them.

`SourceForm` is the documentation; its defaults are those of core/source.py. A form read here has passed every check
that needs no store; whether it can be told apart from its neighbours is for sources.py.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from chartwire.channels.source_checks import CHECKS, START_FIELDS, Flaw, flaw
from chartwire.core.errors import FaultsError
from chartwire.core.source import AckMode, EffectMode, IdentifierRule, Source

Action = Literal["refuse", "hold", "warn", "ignore"]

_POINTER_MARKS = str.maketrans({".": "/", "[": "/", "]": None})


class IdentifierForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What identifies a patient. `authority` `*` is any, empty the source's own; `type` is of table 0203 or `*`."""

    type: str
    authority: str = ""


_USUAL_IDENTIFIERS = (IdentifierForm("MR"), IdentifierForm("PI"))


class SenderForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field (MSH-3 to MSH-6, PV1-3.4, or an HD part as MSH-4.2) and what it has to be; `*` and `?` are wildcards."""

    field: str
    pattern: str


class StrictnessForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the validator finds (a rule, the beginning of one with `*`, or a severity), and what then happens."""

    rule: str
    action: Action


class SourceForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A feed.

    `listener` is the socket that it comes by. `peers` (networks, or cn:, san:, sha256: of the client certificate), then
    `sending`, tell it from other feeds of that listener. `authority` is the assigning authority that an empty CX.4
    takes. `timezone` is for times without offset; `charset` goes above MSH-18. `order_key` is what stays in order:
    `patient`, `visit`, `source` (the whole feed), or a field such as `ORC-3`. `accepts` are events (`ADT^A01`, `ADT`);
    empty is all that have a map. `may_set` and `rank` weigh this feed against others, resource type by resource type.
    """

    name: str
    authority: str
    listener: str = "plain"
    timezone: str | None = None
    charset: str | None = None
    identifiers: list[IdentifierForm] = msgspec.field(default_factory=lambda: [*_USUAL_IDENTIFIERS])
    order_key: str = "patient"
    accepts: list[str] = []
    ack_mode: AckMode = "commit"
    ack_deadline_s: float = 30.0
    ack_overrides: dict[str, str] = {}
    unable_answers: Literal["close", "AR", "CE"] = "close"
    strict_control_ids: bool = False
    strictness: list[StrictnessForm] = []
    effect_mode: EffectMode = "live"
    hold_following: Literal["pass", "wait"] = "pass"
    absent_segments: Literal["keep", "clear"] = "keep"
    appointment_start_order: list[str] = msgspec.field(default_factory=lambda: [*START_FIELDS])
    rank: int = 10
    may_set: dict[str, int] = {}
    facility_zones: dict[str, str] = {}
    peers: list[str] = []
    sending: list[SenderForm] = []


_MEMBERS = {one.name: one for one in msgspec.structs.fields(SourceForm)}
_ACTIONS: dict[str, Action] = {"refuse": "refuse", "hold": "hold", "warn": "warn", "ignore": "ignore"}
_MAPPINGS = ("ack_overrides", "may_set", "facility_zones")


def form_of(source: Source, listener: str) -> SourceForm:
    """The form that would make this source."""
    values: dict[str, Any] = {name: getattr(source, name) for name in _MEMBERS.keys() - {"listener"}}
    values |= {name: dict(values[name]) for name in _MAPPINGS}
    values["identifiers"] = [IdentifierForm(rule.type, rule.authority) for rule in source.identifiers]
    values["sending"] = [SenderForm(*pair) for pair in source.sending]
    values["strictness"] = [StrictnessForm(rule, _ACTIONS[action]) for rule, action in source.strictness]
    values |= {name: list(values[name]) for name in ("accepts", "appointment_start_order", "peers")}
    return SourceForm(listener=listener, **values)


def source_of(form: SourceForm, org: UUID, source_id: UUID) -> Source:
    """The source that a form describes."""
    values = {name: getattr(form, name) for name in _MEMBERS.keys() - {"listener"}}
    values |= {name: tuple(values[name].items()) for name in _MAPPINGS}
    values["identifiers"] = tuple(IdentifierRule(one.authority, one.type) for one in form.identifiers)
    values["sending"] = tuple((one.field, one.pattern) for one in form.sending)
    values["strictness"] = tuple((one.rule, one.action) for one in form.strictness)
    values |= {name: tuple(values[name]) for name in ("accepts", "appointment_start_order", "peers")}
    return Source(org=org, id=source_id, **values)


def merged(form: SourceForm, patch: Mapping[str, Any]) -> dict[str, Any]:
    """A form with a merge patch (RFC 7396) laid over it, still to be read: null takes a member back to its default."""
    values = plain(form)
    for name, value in patch.items():
        if value is None:
            values.pop(name, None)
        elif name in _MAPPINGS and isinstance(value, dict):
            kept = {**values[name], **value}
            values[name] = {key: one for key, one in kept.items() if one is not None}
        else:
            values[name] = value
    return values


def plain(form: SourceForm) -> dict[str, Any]:
    """The form as JSON values, in the order of its members."""
    values: dict[str, Any] = msgspec.to_builtins(form)
    return values


def read_form(values: Mapping[str, Any], listeners: Sequence[str] = ()) -> SourceForm:
    """The form of JSON values. Raises FaultsError (`invalid_body`) with everything that is wrong, place by place.

    `listeners` are the names that exist; empty is not known here.
    """
    flaws = [_unknown(name) for name in values.keys() - _MEMBERS.keys()]
    read: dict[str, Any] = {}
    for name, member in _MEMBERS.items():
        if name in values:
            try:
                read[name] = msgspec.convert(values[name], member.type)
            except msgspec.ValidationError as error:
                flaws.append(_misshapen(name, str(error)))
        elif member.required:
            flaws.append(flaw(f"/{name}", "required", "is needed"))
    for name, value in read.items():
        if name in CHECKS:
            flaws += CHECKS[name](value)
    if "listener" in read and listeners and read["listener"] not in listeners:
        flaws.append(flaw("/listener", "unknown_listener", f"is one of {', '.join(sorted(listeners))}"))
    if flaws:
        told = "; ".join(f"`{pointer}` {rule}" for pointer, _, rule in flaws[:3])
        raise FaultsError(f"the source has values that cannot be: {told}", code="invalid_body", faults=flaws)
    return SourceForm(**read)


def _unknown(name: str) -> Flaw:
    """Names the member that comes nearest, not what was sent."""
    near = difflib.get_close_matches(name, _MEMBERS, n=1)
    return flaw(f"/{near[0]}" if near else "", "unknown_member",
                f"a member is not known; the nearest is `{near[0]}`" if near else "a member is not known")  # fmt: skip


def _misshapen(name: str, message: str) -> Flaw:
    """msgspec tells place and rule; values that it quotes are left out."""
    rule, _, place = message.partition(" - at `$")
    known = rule.startswith(("Expected", "Object missing"))
    if "enum value" in rule:
        options = getattr(_MEMBERS[name].type, "__args__", ())
        rule, known = f"is one of {', '.join(map(str, options))}", bool(options) and all(map(_is_text, options))
    pointer = f"/{name}{place.rstrip('`').translate(_POINTER_MARKS)}"
    return flaw(pointer, "invalid_value", rule if known else "has a value or a member that cannot be")


def _is_text(option: object) -> bool:
    return isinstance(option, str)
