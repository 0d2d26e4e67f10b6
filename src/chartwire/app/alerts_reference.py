"""`python -m chartwire.app.alerts_reference`: docs/reference/alerts.md, made from the kinds of rules and channels."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec

from chartwire.alerts.channels.kind import ChannelKind
from chartwire.alerts.channels.kinds import CHANNEL_KINDS
from chartwire.alerts.kinds import KINDS, Kind

_HEAD = """# Alerts

Made from the kinds of rules and channels by `python -m chartwire.app.alerts_reference`; do not edit. How to use them:
[be told](../how-to/alerts.md).

## Rules
Each kind has a rule of its name that watches by default. A rule of the same name, by `POST /api/v1/alert-rules` or in a
configuration file (`alert_rules`), takes its place; others may be added under names of their own.

| member | meaning |
|---|---|
"""
_MEMBERS = {
    "`name`, `kind`": "what it is called, and what it watches",
    "`enabled`, `severity`, `threshold`": "null or left out: as in the tables below",
    "`for_s`, `clear_s`": "it fires when bad for so long, and is over when well for so long; null: as below",
    "`keys`": "what of its kind, as patterns (`source:*`); the last that fits counts, one with `!` leaves out",
    "`channels`": "who is told, by name; none: every enabled channel",
    "`escalation`": "up to five steps `{after_s, channels}`: who is told when nobody has acknowledged for so long",
    "`remind_every_s`": "at least 60; 0 reminds nobody",
    "`business_hours`": "`{zone, weekdays, opens, closes}`: what is not `critical` waits for the next opening",
}
_LEVELS = {
    "organisation": "every organisation watches",
    "installation": "the installation watches, in its own organisation",
}
_CHANNELS = """
## Channels
`{name, kind, enabled, settings, secrets}`, by `POST /api/v1/alert-channels` or in a configuration file
(`alert_channels`, secrets as `env:NAME` or `file:PATH`). Secrets are kept sealed and never shown.

A notice is sent at least once, under one id for all tries: at once, then after 30 s, 1, 2, 5, 10 and 30 min, then every
hour for a day. What the receiver refuses for good (most 4xx of HTTP, 5yz of SMTP), and what a day did not bring out, is
`dead`; `GET /api/v1/alerts/{id}` shows state and code of every notice.
"""


def page() -> str:
    """The page as Markdown."""
    members = (f"| {name} | {meaning} |\n" for name, meaning in _MEMBERS.items())
    return "".join([_HEAD, *members, *_rules(), _CHANNELS, *_channels()])


def _rules() -> Iterator[str]:
    for level, whose in _LEVELS.items():
        yield f"\n### What {whose}\n"
        yield "| kind | watches | measures | fires | severity | for, clear | what to do |\n"
        yield "|---|---|---|---|---|---|---|\n"
        yield from (_rule(name, kind) for name, kind in KINDS.items() if kind.of == level)


def _rule(name: str, kind: Kind) -> str:
    fires = f"{kind.bad} {kind.threshold:g}" + ("" if kind.enabled else "; off by default")
    guide = f"[{kind.page.rpartition('/')[2].removesuffix('.md')}](../{kind.page})" if kind.page else ""
    pace = f"{kind.for_s:g} s, {kind.clear_s:g} s"
    return f"| `{name}` | {kind.watches} | {kind.measures} | {fires} | {kind.severity} | {pace} | {guide} |\n"


def _channels() -> Iterator[str]:
    for name, kind in CHANNEL_KINDS.items():
        yield f"\n### `{name}`\n{kind.about} What it sends: <{kind.spec}>.\n"
        yield "\n| member | default | meaning |\n|---|---|---|\n"
        yield from (_setting(field) for field in msgspec.structs.fields(kind.settings))
        yield from (_secret(secret, kind) for secret in kind.secrets)


def _setting(field: msgspec.structs.FieldInfo) -> str:
    default = "needed" if field.default is msgspec.NODEFAULT else f"`{field.default}`" if field.default else ""
    told = _described(field.type)
    values = ", ".join(f"`{one}`" for one in told["values"])
    return f"| `settings.{field.name}` | {default} | {'; '.join(filter(None, [values, told['meaning']]))} |\n"


def _secret(name: str, kind: ChannelKind) -> str:
    given = "made" if name in kind.made() else "needed" if name in kind.needs else ""
    return f"| `secrets.{name}` | {given} | {kind.secrets[name]} |\n"


def _described(kind: Any) -> Mapping[str, Any]:
    """What the annotation of a setting says: its meaning, and the values where they are counted."""
    inner = getattr(kind, "__origin__", None)
    meanings = [note.description for note in getattr(kind, "__metadata__", ()) if note.description]
    values = [one for one in get_args(inner) if isinstance(one, str)]
    return {"meaning": meanings[-1] if meanings else "", "values": values}


if __name__ == "__main__":
    print(page(), end="")
