"""What can come of reaching out: an answer, or one of three failures that differ in what the caller may do next.

No text here carries an address, a header, a body or a secret: the tenant who caused the call may read it.
"""

from dataclasses import dataclass

from chartwire.core.errors import ChartwireError, TransientError, ValidationError


class RefusedError(ValidationError):
    """Our own rules forbid this target. Nothing was sent; permanent until the URL or the policy changes."""


class ConnectFailedError(TransientError):
    """No connection or no TLS session came about: nothing of the request was sent, so sending again is safe."""


class OutcomeUnknownError(ChartwireError):
    """Part of the request left this machine and no whole answer came back: the other side may have acted on it.

    `status` is the status line, where one arrived before the end. Resend only with the same id.
    """

    error_class = "upstream"

    def __init__(self, message: str, *, code: str, status: int | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A final HTTP answer. Redirects are answers like others: nobody follows them.

    `headers` have lower-case names, the last of a repeated name wins. `body_excerpt` is the start of the body as sent
    (never inflated), `truncated` whether more followed. `duration_ms` runs from the call to the last byte read.
    """

    status: int
    headers: dict[str, str]
    body_excerpt: bytes
    truncated: bool
    duration_ms: float
