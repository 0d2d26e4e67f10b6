"""E-mail by SMTP. The notices of one bout are one thread, and a notice that comes twice has one Message-ID."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from chartwire.alerts.channels.kind import Fault, Plain, Way
from chartwire.alerts.channels.template import filled, template
from chartwire.alerts.observations import Notice, Sent
from chartwire.alerts.wording import facts_of
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.trust.outcomes import ConnectFailedError, OutcomeUnknownError, RefusedError
from chartwire.trust.smtp import MailRefusedError, MailServer, Security, mail_policy, send_mail

SOME_REFUSED: Final = "smtp_some_recipients"
_7_BIT: Final = SMTP.clone(cte_type="7bit")
_ADDRESS: Final = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}$(?!\n)"
_HOST: Final = r"^[A-Za-z0-9.:-]{1,253}$(?!\n)"

Address = Annotated[str, Meta(pattern=_ADDRESS)]
Host = Annotated[str, Meta(pattern=_HOST, description="the server that mail is handed to")]
Port = Annotated[int, Meta(ge=1, le=65_535, description="587 for STARTTLS, 465 for TLS")]
Safety = Annotated[Security, Meta(description="none only for a server in a network that the operator opened")]
Username = Annotated[str, Meta(max_length=200, description="empty sends without a login")]
Sender = Annotated[Address, Meta(description="the address that mails come from")]
Recipients = Annotated[list[Address], Meta(min_length=1, max_length=50, description="addresses, up to 50")]


class EmailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be shown of an e-mail channel."""

    host: Host
    port: Port = 587
    security: Safety = "starttls"
    username: Username = ""
    sender: Sender
    recipients: Recipients


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """One server, one sender, one list of recipients."""

    way: Way
    server: MailServer
    sender: str
    recipients: tuple[str, ...]

    async def send(self, notice: Notice) -> Sent:
        """Hand in one message. It counts as sent where the server took it for some recipients; the code tells then."""
        message = mail_of(notice, self.sender, self.recipients).as_bytes(policy=_7_BIT)
        try:
            refused = await send_mail(
                self.way.door, self.server, self.way.policy, self.sender, self.recipients, message
            )
        except RefusedError as error:
            return Sent(False, error=error.code)
        except MailRefusedError as error:
            return Sent(False, retry=not error.permanent, error=error.code)
        except (ConnectFailedError, OutcomeUnknownError) as error:
            return Sent(False, retry=True, error=error.code)
        return Sent(True, error=SOME_REFUSED if refused else None)


def mail_of(notice: Notice, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The message (RFC 5322). All of a bout refer to one root, which no message is: mail programs thread them however
    many of them a recipient got (RFC 5322 section 3.6.4)."""
    told = filled(template("email"), facts_of(notice))
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=_7_BIT)
    message["From"] = f"Chartwire <{sender}>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = told["subject"]
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = f"<{to_prefixed(PREFIXES['alert_notice'], notice.id)}@{domain}>"
    message["References"] = f"<{notice.dedup_key}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    if notice.kind != "start":
        message["In-Reply-To"] = f"<{notice.dedup_key}@{domain}>"
    if notice.severity == "critical":
        message["Importance"] = "high"
    message.set_content("\n".join(line["text"] for line in told["lines"]) + "\n")
    return message


class EmailKind(Plain):
    """See kind.ChannelKind."""

    about: ClassVar[str] = "E-mail by SMTP; the notices of one alert are one thread."
    settings: ClassVar[type[msgspec.Struct]] = EmailSettings
    secrets: ClassVar[Mapping[str, str]] = {"password": "the password of `username`"}
    needs: ClassVar[frozenset[str]] = frozenset()
    bound: ClassVar[frozenset[str]] = frozenset({"host", "port", "security", "username"})
    spec: ClassVar[str] = "https://www.rfc-editor.org/rfc/rfc6409"

    def faults(self, settings: EmailSettings, secrets: Mapping[str, str]) -> Iterator[Fault]:
        if bool(settings.username) != bool(secrets.get("password")):
            yield "/secrets/password", "password", "is given with a `username`, and only then"
        if settings.username and settings.security == "none":
            yield "/settings/security", "security", "is starttls or tls where there is a password"

    async def judge(self, way: Way, settings: EmailSettings, secrets: Mapping[str, str]) -> None:
        del secrets
        tls = settings.security != "none"
        await way.door.check_peer(settings.host, settings.port, tls, mail_policy(way.policy))

    def channel(self, way: Way, settings: Any, secrets: Mapping[str, str]) -> EmailChannel:
        password = secrets.get("password", "")
        server = MailServer(settings.host, settings.port, settings.security, settings.username, password)
        return EmailChannel(way, server, settings.sender, tuple(settings.recipients))
