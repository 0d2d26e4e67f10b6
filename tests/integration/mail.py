"""A mail server of the tests: speaks SMTP over real sockets, keeps what it is handed, and misbehaves when told to."""

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass
class Mail:
    """One message as it was handed in."""

    sender: str
    recipients: list[str]
    data: bytes
    under_tls: bool
    username: str | None

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.data, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class MailServer:
    """`answers` replaces the answer to a command (`RCPT TO:<gone@x.example>` or just `DATA`); `None` hangs up."""

    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    login: tuple[str, str] | None = None
    mechanisms: str = "PLAIN LOGIN"
    answers: dict[str, str | None] = field(default_factory=dict)
    injected: bytes = b""
    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self) -> "MailServer":
        context = self.tls if self.implicit_tls else None
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_Talk(self, reader, writer).run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Talk:
    def __init__(self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.under_tls = server.implicit_tls
        self.username: str | None = None
        self.sender = ""
        self.recipients: list[str] = []

    async def run(self) -> None:
        try:
            await self.say("220 mail.example ESMTP")
            while (line := await self.line()) != "QUIT":
                self.server.commands.append(line)
                await self.obey(line)
        except (EOFError, OSError):
            pass
        finally:
            self.writer.close()

    async def line(self) -> str:
        return (await self.reader.readuntil(b"\r\n")).decode().removesuffix("\r\n")

    async def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def obey(self, line: str) -> None:
        verb = line.split(" ", 1)[0].split(":", 1)[0]
        told = self.server.answers.get(line, self.server.answers.get(verb, ""))
        if told is None:
            raise EOFError
        if told:
            await self.say(told)
        else:
            await getattr(self, f"do_{verb.lower()}")(line)

    async def do_ehlo(self, _: str) -> None:
        offered = ["mail.example", "SIZE 1000000"]
        if self.server.tls and not self.under_tls:
            offered.append("STARTTLS")
        if self.server.login:
            offered.append(f"AUTH {self.server.mechanisms}")
        await self.say("\r\n".join(f"250-{one}" for one in offered) + "\r\n250 8BITMIME")

    async def do_starttls(self, _: str) -> None:
        assert self.server.tls is not None
        self.writer.write(b"220 go on\r\n" + self.server.injected)
        await self.writer.drain()
        # start_tls of a stream that was accepted: the server's side of the handshake
        await self.writer.start_tls(self.server.tls)
        self.under_tls = True

    async def do_auth(self, line: str) -> None:
        _, mechanism, *given = line.split(" ")
        if mechanism == "PLAIN":
            _, username, password = base64.b64decode(given[0]).decode().split("\0")
        else:
            await self.say("334 VXNlcm5hbWU6")
            username = base64.b64decode(await self.line()).decode()
            await self.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(await self.line()).decode()
        right = (username, password) == self.server.login
        self.username = username if right else None
        await self.say("235 welcome" if right else "535 no")

    async def do_mail(self, line: str) -> None:
        if self.server.login and self.username is None:
            await self.say("530 log in first")
            return
        self.sender = line.removeprefix("MAIL FROM:<").removesuffix(">")
        self.recipients = []
        await self.say("250 ok")

    async def do_rcpt(self, line: str) -> None:
        self.recipients.append(line.removeprefix("RCPT TO:<").removesuffix(">"))
        await self.say("250 ok")

    async def do_data(self, _: str) -> None:
        await self.say("354 go on")
        data = b""
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            data += line[1:] if line.startswith(b".") else line
        self.server.mails.append(Mail(self.sender, self.recipients, data, self.under_tls, self.username))
        told = self.server.answers.get("<message>", "250 queued")
        if told is None:
            await asyncio.sleep(3600)
        await self.say(told or "")
