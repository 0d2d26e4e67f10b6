"""Handing a message to a mail server through the guarded door (submission: RFC 5321, RFC 6409, RFC 3207, RFC 4954).

A public server is spoken to under TLS only, from the first byte (`tls`) or after STARTTLS, which is demanded and never
given up on; its port is one of MAIL_PORTS. `none` is for servers in networks that the operator opened.
"""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, ip_address
from typing import Literal, NamedTuple

from chartwire.core.errors import ChartwireError
from chartwire.core.limits import SMTP_ANSWER_LINES_MAX, SMTP_TIMEOUT_S
from chartwire.trust.addresses import OutboundPolicy
from chartwire.trust.outbound import Outbound, Stream
from chartwire.trust.outcomes import ConnectFailedError, OutcomeUnknownError

Security = Literal["starttls", "tls", "none"]
MAIL_PORTS = frozenset({465, 587, 2525})
"""Submission (RFC 6409, RFC 8314) and its usual alternative. 25 is for servers among themselves."""

_OK, _GO_ON = 2, 3


class MailRefusedError(ChartwireError):
    """The server said no; nothing was handed over. `code` names the step (`smtp_login`), `permanent` whether the same
    again would help as little (a 5yz answer). What the server wrote is not kept."""

    error_class = "upstream"

    def __init__(self, step: str, *, permanent: bool) -> None:
        super().__init__(f"the mail server refused at the step {step}", code=f"smtp_{step}")
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. An empty `username` sends without a login."""

    host: str
    port: int
    security: Security = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)


class _Answer(NamedTuple):
    status: int
    lines: tuple[str, ...]

    @property
    def kind(self) -> int:
        return self.status // 100


def mail_policy(policy: OutboundPolicy) -> OutboundPolicy:
    """The policy with the ports of mail in place of those of HTTP."""
    return replace(policy, public_ports=MAIL_PORTS)


async def send_mail(
    door: Outbound,
    server: MailServer,
    policy: OutboundPolicy,
    sender: str,
    recipients: Sequence[str],
    message: bytes,
    *,
    timeout_s: float = SMTP_TIMEOUT_S,
) -> int:
    """Hand in `message` (RFC 5322, CRLF, 7 bit) for those of `recipients` that the server takes; answers how many it
    refused, which is never all.

    Raises RefusedError and ConnectFailedError (nothing was handed over), MailRefusedError, or OutcomeUnknownError when
    the connection ended between the message and its answer: it may come twice then, under its one Message-ID.
    """
    conversation = _Conversation()
    try:
        async with asyncio.timeout(timeout_s):
            await conversation.open(door, server, mail_policy(policy), timeout_s)
            if server.username:
                await conversation.log_in(server.username, server.password)
            return await conversation.hand_in(sender, recipients, message)
    except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
        raise conversation.broken() from None
    finally:
        conversation.close()


class _Conversation:
    """One connection: commands one after the other, each with its answer."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._extensions: dict[str, str] = {}
        self._handed_over = False

    async def open(self, door: Outbound, server: MailServer, policy: OutboundPolicy, timeout_s: float) -> None:
        """Connect, greet, and be under TLS unless the server is spoken to without."""
        if server.security == "starttls":
            self._stream = await door.open_starttls(
                server.host, server.port, self._ask_for_tls, policy, timeout_s=timeout_s
            )
        else:
            self._stream = await door.open_stream(
                server.host, server.port, server.security == "tls", policy, timeout_s=timeout_s
            )
            await self._expect("greeting", _OK)
        await self._hello()

    async def log_in(self, username: str, password: str) -> None:
        """AUTH PLAIN, or LOGIN where there is nothing else."""
        offered = self._extensions.get("AUTH", "").upper().split()
        if "PLAIN" in offered:
            secret = _base64(f"\0{username}\0{password}")
            await self._say(f"AUTH PLAIN {secret}", "login", _OK)
        elif "LOGIN" in offered:
            await self._say("AUTH LOGIN", "login", _GO_ON)
            await self._say(_base64(username), "login", _GO_ON)
            await self._say(_base64(password), "login", _OK)
        else:
            raise MailRefusedError("login", permanent=True)

    async def hand_in(self, sender: str, recipients: Sequence[str], message: bytes) -> int:
        """The envelope and the message; answers how many recipients were refused."""
        await self._say(f"MAIL FROM:<{sender}>", "sender", _OK)
        answers = [await self._command(f"RCPT TO:<{recipient}>") for recipient in recipients]
        refused = [answer for answer in answers if answer.kind != _OK]
        if len(refused) == len(answers):
            raise MailRefusedError("recipients", permanent=all(answer.kind == 5 for answer in refused))
        await self._say("DATA", "message", _GO_ON)
        _, writer = self._open_stream()
        writer.write(_stuffed(message) + b".\r\n")
        self._handed_over = True
        await writer.drain()
        answer = await self._answer()
        self._handed_over = False
        if answer.kind != _OK:
            raise MailRefusedError("message", permanent=answer.kind == 5)
        return len(refused)

    def broken(self) -> ConnectFailedError | OutcomeUnknownError:
        """What it means that the connection ended or took too long, by how far things were."""
        if self._handed_over:
            return OutcomeUnknownError("the mail server took the message and did not answer", code="timeout")
        return ConnectFailedError("the mail server went away or did not answer in time", code="smtp_closed")

    def close(self) -> None:
        """Take leave without waiting for the answer."""
        if self._stream is not None:
            _, writer = self._stream
            if not writer.is_closing():
                writer.write(b"QUIT\r\n")
            writer.close()

    async def _ask_for_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._stream = reader, writer
        await self._expect("greeting", _OK)
        await self._hello()
        if "STARTTLS" not in self._extensions:
            raise MailRefusedError("starttls", permanent=True)
        await self._say("STARTTLS", "starttls", _OK)

    async def _hello(self) -> None:
        """EHLO by our address, since a name of ours is nobody's business (RFC 5321 section 4.1.3)."""
        _, writer = self._open_stream()
        own = ip_address(writer.get_extra_info("sockname")[0])
        shown = f"[IPv6:{own}]" if isinstance(own, IPv6Address) else f"[{own}]"
        told = (await self._say(f"EHLO {shown}", "greeting", _OK)).lines[1:]
        pairs = [line.partition(" ") for line in told]
        self._extensions = {name.upper(): parameters for name, _, parameters in pairs}

    async def _say(self, command: str, step: str, kind: int) -> _Answer:
        return _wanted(await self._command(command), step, kind)

    async def _expect(self, step: str, kind: int) -> _Answer:
        return _wanted(await self._answer(), step, kind)

    async def _command(self, command: str) -> _Answer:
        assert command.isprintable(), "a command is one line"
        _, writer = self._open_stream()
        writer.write(command.encode("ascii") + b"\r\n")
        await writer.drain()
        return await self._answer()

    async def _answer(self) -> _Answer:
        """One answer of one or more lines: `250-text` until `250 text`. Raises ConnectFailedError for what is none."""
        reader, _ = self._open_stream()
        lines: list[str] = []
        while len(lines) < SMTP_ANSWER_LINES_MAX:
            line = (await reader.readuntil(b"\n")).decode("ascii", "replace").rstrip("\r\n")
            if not line[:3].isdigit() or not line.isascii() or line[3:4] not in ("", " ", "-"):
                break
            lines.append(line[4:])
            if line[3:4] != "-":
                return _Answer(int(line[:3]), tuple(lines))
        raise ConnectFailedError("what answers is no mail server", code="smtp_malformed")

    def _open_stream(self) -> Stream:
        assert self._stream is not None, "the conversation is open"
        return self._stream


def _wanted(answer: _Answer, step: str, kind: int) -> _Answer:
    if answer.kind != kind:
        raise MailRefusedError(step, permanent=answer.kind == 5)
    return answer


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _stuffed(message: bytes) -> bytes:
    """Lines that begin with a dot get a second one (RFC 5321 section 4.5.2); the last line has its end."""
    whole = message if message.endswith(b"\r\n") else message + b"\r\n"
    stuffed = whole.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed
