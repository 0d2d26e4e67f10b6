"""Slack and Microsoft Teams: a message to the webhook address of a channel, which is the secret."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final

import orjson

from chartwire.alerts.channels.kind import Plain, Way
from chartwire.alerts.channels.posting import Post
from chartwire.alerts.channels.template import filled, template
from chartwire.alerts.observations import Notice, Sent
from chartwire.alerts.wording import facts_of

_COLOURS: Final = MappingProxyType({"critical": "attention", "warning": "warning", "info": "default"})


def slack_text(text: str) -> str:
    """Plain text in Slack's markup: https://docs.slack.dev/messaging/formatting-message-text (escaping)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True, slots=True)
class ChatChannel:
    """One channel of a chat, told by the template of its kind."""

    post: Post
    shape: Any
    escape: Callable[[str], str]

    async def send(self, notice: Notice) -> Sent:
        """Post one message."""
        colour = "good" if notice.kind == "recovery" else _COLOURS[notice.severity]
        body = filled(self.shape, facts_of(notice) | {"colour": colour}, self.escape)
        return await self.post.send(orjson.dumps(body), {})


class _ChatKind(Plain):
    """What the two have in common. See kind.ChannelKind."""

    needs: ClassVar[frozenset[str]] = frozenset({"url"})
    shape: ClassVar[str]
    escape: ClassVar[Callable[[str], str]] = str

    async def judge(self, way: Way, settings: Any, secrets: Mapping[str, str]) -> None:
        del settings
        await way.door.check(secrets["url"], way.policy)

    def channel(self, way: Way, settings: Any, secrets: Mapping[str, str]) -> ChatChannel:
        del settings
        return ChatChannel(Post(way.door, secrets["url"], way.policy), template(self.shape), type(self).escape)


class SlackKind(_ChatKind):
    """See kind.ChannelKind."""

    about: ClassVar[str] = "A channel of Slack, or of what takes the same (Mattermost, Rocket.Chat)."
    shape = "slack"
    escape = slack_text
    secrets: ClassVar[Mapping[str, str]] = {"url": "the address of an incoming webhook"}
    spec: ClassVar[str] = "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"


class TeamsKind(_ChatKind):
    """See kind.ChannelKind."""

    about: ClassVar[str] = "A channel or chat of Microsoft Teams."
    shape = "teams"
    secrets: ClassVar[Mapping[str, str]] = {
        "url": "the address of a workflow made from `Post to a channel when a webhook request is received`"
    }
    spec: ClassVar[str] = (
        "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook"
    )
