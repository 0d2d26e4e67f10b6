"""One POST of a notice, and what its answer means."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chartwire.alerts.observations import Sent
from chartwire.core.limits import ALERT_POST_TIMEOUT_S
from chartwire.trust.addresses import OutboundPolicy
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError, OutcomeUnknownError, RefusedError

_MAY_PASS = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Post:
    """Where notices are posted; `url` may hold a secret."""

    door: Outbound
    url: str = field(repr=False)
    policy: OutboundPolicy
    timeout_s: float = ALERT_POST_TIMEOUT_S

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Sent:
        """POST JSON once. Any 2xx is success; redirects are not followed; what the other side cannot be blamed for for
        long (5xx, 429, no connection, no answer) may be tried again."""
        told = {"Content-Type": "application/json", "User-Agent": "Chartwire-Alerts/1", **headers}
        try:
            answer = await self.door.post(self.url, body, told, timeout_s=self.timeout_s, policy=self.policy)
        except RefusedError as error:
            return Sent(False, error=error.code)
        except (ConnectFailedError, OutcomeUnknownError) as error:
            return Sent(False, retry=True, error=error.code)
        if 200 <= answer.status < 300:
            return Sent(True)
        return Sent(False, retry=answer.status >= 500 or answer.status in _MAY_PASS, error=f"http_{answer.status}")
