"""Mail is handed in over real sockets, under TLS wherever the server is not the operator's own."""

import ipaddress

import pytest
from tests.integration.mail import MailServer as Receiver

from chartwire.trust.addresses import PUBLIC, SANDBOX
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError, OutcomeUnknownError, RefusedError
from chartwire.trust.smtp import MailRefusedError, MailServer, send_mail

HOST = "mail.example"
MESSAGE = b"Subject: test\r\n\r\nfirst\r\n.hidden\r\n..twice\r\n"


async def _loopback(_: str) -> list[ipaddress.IPv4Address]:
    return [ipaddress.IPv4Address("127.0.0.1")]


@pytest.fixture
async def receiver_with():
    running = []

    async def start(**manners):
        receiver = await Receiver(**manners).serve()
        running.append(receiver)
        return receiver

    yield start
    for one in running:
        await one.close()


@pytest.fixture
async def door_with():
    doors = []

    def make(tls=None):
        doors.append(Outbound(tls=tls, lookup=_loopback))
        return doors[-1]

    yield make
    for door in doors:
        await door.close()


async def hand_in(door, receiver, *, to=("a@x.example",), policy=SANDBOX, timeout_s=5.0, **server):
    told = MailServer(HOST, receiver.port, **server)
    return await send_mail(door, told, policy, "hub@x.example", to, MESSAGE, timeout_s=timeout_s)


@pytest.mark.parametrize(("security", "implicit"), [("starttls", False), ("tls", True)])
@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "XOAUTH2 LOGIN"])
async def test_a_message_arrives_under_tls_after_a_login_byte_for_byte(
    receiver_with, door_with, certificates, security, implicit, mechanisms
) -> None:
    server_tls, client_tls = certificates(HOST)
    receiver = await receiver_with(
        tls=server_tls, implicit_tls=implicit, login=("hub", "pässword"), mechanisms=mechanisms
    )
    refused = await hand_in(door_with(client_tls), receiver, security=security, username="hub", password="pässword")
    (mail,) = receiver.mails
    assert refused == 0
    assert (mail.under_tls, mail.username, mail.data) == (True, "hub", MESSAGE)
    assert not any("hub@" in command or "AUTH" in command for command in receiver.commands[:2] if not implicit)


async def test_a_server_without_starttls_gets_neither_password_nor_message(receiver_with, door_with) -> None:
    receiver = await receiver_with(login=("hub", "secret"))
    with pytest.raises(MailRefusedError) as caught:
        await hand_in(door_with(), receiver, username="hub", password="secret")
    assert (caught.value.code, caught.value.permanent) == ("smtp_starttls", True)
    assert [command.split(" ")[0] for command in receiver.commands] == ["EHLO"]


async def test_what_is_injected_into_the_clear_before_tls_ends_the_conversation(
    receiver_with, door_with, certificates
) -> None:
    server_tls, client_tls = certificates(HOST)
    receiver = await receiver_with(tls=server_tls, injected=b"250-evil.example\r\n250 AUTH PLAIN\r\n")
    with pytest.raises(ConnectFailedError) as caught:
        await hand_in(door_with(client_tls), receiver, username="hub", password="secret")
    assert caught.value.code == "tls_injection"
    assert receiver.commands == [receiver.commands[0], "STARTTLS"]


async def test_a_certificate_for_another_name_is_refused_before_the_login(
    receiver_with, door_with, certificates
) -> None:
    server_tls, client_tls = certificates("other.example")
    receiver = await receiver_with(tls=server_tls, login=("hub", "secret"))
    with pytest.raises(ConnectFailedError) as caught:
        await hand_in(door_with(client_tls), receiver, username="hub", password="secret")
    assert caught.value.code == "tls_certificate"
    assert not any(command.startswith("AUTH") for command in receiver.commands)


async def test_inner_addresses_other_ports_and_plain_text_to_the_public_stay_closed(receiver_with, door_with) -> None:
    receiver = await receiver_with()
    with pytest.raises(RefusedError) as inner:
        await hand_in(door_with(), receiver, policy=PUBLIC)

    async def public(_):
        return [ipaddress.IPv4Address("93.184.216.34")]

    door = Outbound(lookup=public)
    with pytest.raises(RefusedError) as port:
        await send_mail(door, MailServer(HOST, 25), PUBLIC, "a@x.example", ["b@x.example"], MESSAGE)
    with pytest.raises(RefusedError) as plain:
        await send_mail(door, MailServer(HOST, 587, "none"), PUBLIC, "a@x.example", ["b@x.example"], MESSAGE)
    await door.close()
    assert [one.value.code for one in (inner, port, plain)] == ["address_loopback", "port", "plain_text"]
    assert not receiver.commands


@pytest.mark.parametrize(
    ("answers", "code", "permanent"),
    [
        ({"EHLO": "554 go away"}, "smtp_greeting", True),
        ({"EHLO": "421 too busy"}, "smtp_greeting", False),
        ({"MAIL": "550 not you"}, "smtp_sender", True),
        ({"RCPT": "450 grey-listed"}, "smtp_recipients", False),
        ({"RCPT": "550 nobody"}, "smtp_recipients", True),
        ({"DATA": "554 no"}, "smtp_message", True),
        ({"<message>": "552 too large"}, "smtp_message", True),
        ({"<message>": "451 later"}, "smtp_message", False),
    ],
)
async def test_a_no_names_its_step_and_whether_it_may_become_a_yes(
    receiver_with, door_with, answers, code, permanent
) -> None:
    receiver = await receiver_with(answers=answers)
    with pytest.raises(MailRefusedError) as caught:
        await hand_in(door_with(), receiver, security="none")
    assert (caught.value.code, caught.value.permanent) == (code, permanent)
    assert not any(word in str(caught.value) for word in ("away", "nobody", "large"))


async def test_a_wrong_password_is_a_no_for_good(receiver_with, door_with, certificates) -> None:
    server_tls, client_tls = certificates(HOST)
    receiver = await receiver_with(tls=server_tls, login=("hub", "right"))
    with pytest.raises(MailRefusedError) as caught:
        await hand_in(door_with(client_tls), receiver, username="hub", password="wrong")
    assert (caught.value.code, caught.value.permanent) == ("smtp_login", True)


async def test_recipients_that_are_refused_keep_nobody_else_from_their_mail(receiver_with, door_with) -> None:
    receiver = await receiver_with(answers={"RCPT TO:<gone@x.example>": "550 no such user"})
    refused = await hand_in(door_with(), receiver, security="none", to=("a@x.example", "gone@x.example", "b@x.example"))
    assert refused == 1
    assert receiver.mails[0].recipients == ["a@x.example", "b@x.example"]


async def test_a_server_that_goes_silent_is_left_and_only_a_message_handed_over_may_have_arrived(
    receiver_with, door_with
) -> None:
    hung_up = await receiver_with(answers={"MAIL": None})
    with pytest.raises(ConnectFailedError):
        await hand_in(door_with(), hung_up, security="none")
    silent = await receiver_with(answers={"<message>": None})
    with pytest.raises(OutcomeUnknownError):
        await hand_in(door_with(), silent, security="none", timeout_s=0.5)


async def test_what_is_no_mail_server_is_not_read_for_long(peer_with, door_with) -> None:
    def endless(peer):
        async def serve(reader, writer):
            while True:
                writer.write(b"220-" + b"x" * 70_000)
                await writer.drain()

        return serve

    peer = await peer_with(endless)
    with pytest.raises(ConnectFailedError) as caught:
        await hand_in(door_with(), peer, security="none")
    assert caught.value.code == "smtp_closed"
