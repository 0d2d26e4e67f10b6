"""The kinds of channels: the registry."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from chartwire.alerts.channels.chat import SlackKind, TeamsKind
from chartwire.alerts.channels.email import EmailKind
from chartwire.alerts.channels.kind import ChannelKind
from chartwire.alerts.channels.pagerduty import PagerDutyKind
from chartwire.alerts.channels.webhook import WebhookKind

ChannelKindName = Literal["email", "slack", "teams", "pagerduty", "webhook"]
CHANNEL_KINDS: Final[Mapping[ChannelKindName, ChannelKind]] = MappingProxyType({
    "email": EmailKind(),
    "slack": SlackKind(),
    "teams": TeamsKind(),
    "pagerduty": PagerDutyKind(),
    "webhook": WebhookKind(),
})  # fmt: skip
