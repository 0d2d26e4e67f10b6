"""A webhook of the organisation's own, signed as all webhooks are (https://www.standardwebhooks.com)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

import msgspec
import orjson
from msgspec import Meta

from chartwire.alerts.channels.kind import Fault, Plain, Way
from chartwire.alerts.channels.posting import Post
from chartwire.alerts.observations import Notice, NoticeKind, Sent
from chartwire.alerts.wording import facts_of
from chartwire.core.clock import now
from chartwire.core.errors import ValidationError
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.delivery.signature import decode_secret, new_secret, signature_header

TYPES: Final[Mapping[NoticeKind, str]] = MappingProxyType({
    "start": "alert.started",
    "escalation": "alert.escalated",
    "reminder": "alert.reminded",
    "acknowledged": "alert.acknowledged",
    "recovery": "alert.recovered",
    "test": "alert.test",
})  # fmt: skip
_OF_DATA: Final = ("rule", "key", "severity", "summary", "since", "note", "link", "guide")


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be shown of a webhook channel."""

    url: Annotated[str, Meta(max_length=2048, description="where notices are posted")]


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """One receiver."""

    post: Post
    secret: bytes = field(repr=False)

    async def send(self, notice: Notice) -> Sent:
        """Post one notice; `webhook-id` is the notice's and stays over all tries."""
        notice_id = to_prefixed(PREFIXES["alert_notice"], notice.id)
        body, at_s = body_of(notice), int(now().timestamp())
        headers = {
            "webhook-id": notice_id,
            "webhook-timestamp": str(at_s),
            "webhook-signature": signature_header([self.secret], notice_id, at_s, body),
        }
        return await self.post.send(body, headers)


def body_of(notice: Notice) -> bytes:
    """The JSON body."""
    facts = facts_of(notice)
    envelope = {
        "id": to_prefixed(PREFIXES["alert_notice"], notice.id),
        "type": TYPES[notice.kind],
        "created_at": facts["at"],
        "organisation": facts["organisation"],
        "data": {"object": "alert", "id": notice.dedup_key, **{name: facts[name] or None for name in _OF_DATA}},
    }
    return orjson.dumps(envelope)


class WebhookKind(Plain):
    """See kind.ChannelKind."""

    about: ClassVar[str] = "A program of your own; requests are signed as all webhooks are."
    settings: ClassVar[type[msgspec.Struct]] = WebhookSettings
    secrets: ClassVar[Mapping[str, str]] = {"secret": "the signing secret, `whsec_...`; one that is made is shown once"}
    needs: ClassVar[frozenset[str]] = frozenset({"secret"})
    spec: ClassVar[str] = "https://www.standardwebhooks.com"

    def faults(self, settings: Any, secrets: Mapping[str, str]) -> Iterator[Fault]:
        del settings
        try:
            decode_secret(secrets.get("secret", ""))
        except ValidationError as error:
            yield "/secrets/secret", error.code, error.message

    def made(self) -> dict[str, str]:
        return {"secret": new_secret()}

    async def judge(self, way: Way, settings: WebhookSettings, secrets: Mapping[str, str]) -> None:
        del secrets
        await way.door.check(settings.url, way.policy)

    def channel(self, way: Way, settings: WebhookSettings, secrets: Mapping[str, str]) -> WebhookChannel:
        return WebhookChannel(Post(way.door, settings.url, way.policy), decode_secret(secrets["secret"]))
