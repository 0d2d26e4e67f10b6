"""PagerDuty, and what speaks its Events API v2: a bout is one incident, opened, acknowledged and resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

import msgspec
import orjson
from msgspec import Meta

from chartwire.alerts.channels.kind import Plain, Way
from chartwire.alerts.channels.posting import Post
from chartwire.alerts.channels.template import filled, template
from chartwire.alerts.observations import Notice, NoticeKind, Sent
from chartwire.alerts.wording import facts_of

_ACTIONS: Final[Mapping[NoticeKind, str]] = MappingProxyType({
    "start": "trigger",
    "escalation": "trigger",
    "reminder": "trigger",
    "acknowledged": "acknowledge",
    "recovery": "resolve",
    "test": "trigger",
})  # fmt: skip


class PagerDutySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be shown of a PagerDuty channel."""

    url: Annotated[
        str,
        Meta(
            max_length=2048,
            description="where events go; an account in the EU: `https://events.eu.pagerduty.com/v2/enqueue`",
        ),
    ] = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True, slots=True)
class PagerDutyChannel:
    """One integration of one service."""

    post: Post
    routing_key: str = field(repr=False)

    async def send(self, notice: Notice) -> Sent:
        """Post one event; the incident's key is the bout's."""
        facts = facts_of(notice) | {"action": _ACTIONS[notice.kind], "routing_key": self.routing_key}
        return await self.post.send(orjson.dumps(filled(template("pagerduty"), facts)), {})


class PagerDutyKind(Plain):
    """See kind.ChannelKind."""

    about: ClassVar[str] = "A service of PagerDuty: an alert is one incident, opened, acknowledged and resolved."
    settings: ClassVar[type[msgspec.Struct]] = PagerDutySettings
    secrets: ClassVar[Mapping[str, str]] = {"routing_key": "the integration key of an Events API v2 integration"}
    needs: ClassVar[frozenset[str]] = frozenset({"routing_key"})
    bound: ClassVar[frozenset[str]] = frozenset({"url"})
    spec: ClassVar[str] = "https://developer.pagerduty.com/docs/send-alert-event"

    async def judge(self, way: Way, settings: PagerDutySettings, secrets: Mapping[str, str]) -> None:
        del secrets
        await way.door.check(settings.url, way.policy)

    def channel(self, way: Way, settings: Any, secrets: Mapping[str, str]) -> PagerDutyChannel:
        return PagerDutyChannel(Post(way.door, settings.url, way.policy), secrets["routing_key"])
