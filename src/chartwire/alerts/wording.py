"""A notice in words, the same for every channel: its title, and facts by name for templates. Pure."""

from datetime import UTC
from types import MappingProxyType

from chartwire.alerts.observations import Notice, NoticeKind
from chartwire.alerts.words import spelled
from chartwire.core.clock import instant

Facts = dict[str, str]

_TITLE_CHARACTERS_MAX = 140
_TEXT_CHARACTERS_MAX = 500
_HEADS: MappingProxyType[NoticeKind, str] = MappingProxyType({
    "start": "",
    "escalation": "Escalated: ",
    "reminder": "Still so: ",
    "acknowledged": "Acknowledged: ",
    "recovery": "Recovered: ",
    "test": "Test: ",
})  # fmt: skip


def facts_of(notice: Notice) -> Facts:
    """What templates may name. A fact that is empty stands for nothing to tell (`note`, `link`, `guide`)."""
    return {
        "kind": notice.kind,
        "title": title(notice),
        "summary": clipped(notice.summary, _TEXT_CHARACTERS_MAX),
        "severity": notice.severity,
        "organisation": clipped(notice.organisation, _TITLE_CHARACTERS_MAX),
        "rule": notice.rule,
        "key": notice.key,
        "since": instant(notice.since),
        "since_text": f"{notice.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "at": instant(notice.at),
        "lasted": spelled((notice.at - notice.since).total_seconds()),
        "note": clipped(notice.note or "", _TEXT_CHARACTERS_MAX),
        "link": notice.link,
        "guide": notice.guide,
        "dedup_key": notice.dedup_key,
    }


def title(notice: Notice) -> str:
    """One line: what the notice is about, and what of it is new."""
    return clipped(_HEADS[notice.kind] + notice.summary, _TITLE_CHARACTERS_MAX)


def clipped(text: str, characters_max: int) -> str:
    """`text` on one line, cut to a length."""
    line = " ".join(text.split())
    return line if len(line) <= characters_max else line[: characters_max - 1] + "…"
