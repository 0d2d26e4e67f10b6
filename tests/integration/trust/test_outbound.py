"""The guarded door against real sockets that misbehave in every way the OWASP lists and receivers' logs know."""

import asyncio
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from time import perf_counter

import pytest

from chartwire.trust.addresses import OPERATOR, PUBLIC, SANDBOX, Address
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError, OutcomeUnknownError, RefusedError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Names:
    """A name server whose answers a test may change between questions."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str) -> list[Address]:
        self.asked.append(host)
        return [ipaddress.ip_address(each) for each in self.answers[host.split(".", maxsplit=1)[0]]]


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    door = Outbound()
    yield door
    await door.close()


def answering(*chunks: bytes, pause_s: float = 0.0, close: bool = False) -> Callable:
    """A script that answers each request with `chunks`, `pause_s` apart."""

    def script(peer):
        async def serve(reader, writer):
            while True:
                await peer.next_request(reader)
                for chunk in chunks:
                    writer.write(chunk)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
                if close:
                    return

        return serve

    return script


async def post(door: Outbound, port: int, path: str = "/", timeout_s: float = 5.0, host: str = "127.0.0.1", tls=False):
    scheme = "https" if tls else "http"
    return await door.post(
        f"{scheme}://{host}:{port}{path}", b'{"a":1}', {"X-Test": "yes"}, timeout_s=timeout_s, policy=SANDBOX
    )


async def test_the_request_arrives_whole_and_the_answer_comes_back_with_its_duration(outbound, peer_with) -> None:
    peer = await peer_with(answering(b"HTTP/1.1 202 Accepted\r\nX-Id: 7\r\ncontent-length: 4\r\n\r\nfine"))
    answer = await post(outbound, peer.port, "/hook?a=b#fragment")
    assert (answer.status, answer.headers["x-id"], answer.body_excerpt, answer.truncated) == (202, "7", b"fine", False)
    assert 0 < answer.duration_ms < 5000
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[:2] == [b"POST /hook?a=b HTTP/1.1", f"Host: 127.0.0.1:{peer.port}".encode()]
    assert b"Accept-Encoding: identity" in head and b"X-Test: yes" in head and body == b'{"a":1}'


async def test_connections_are_kept_so_that_a_second_post_needs_no_second_handshake(outbound, peer_with) -> None:
    peer = await peer_with(answering(OK))
    for _ in range(5):
        await post(outbound, peer.port)
    assert (peer.connections, len(peer.requests)) == (1, 5)


async def test_a_kept_connection_is_judged_again_under_the_policy_of_its_next_user(outbound, peer_with) -> None:
    peer = await peer_with(answering(OK))
    await post(outbound, peer.port)
    with pytest.raises(RefusedError) as refused:
        await outbound.post(f"http://127.0.0.1:{peer.port}/", b"", {}, timeout_s=2, policy=PUBLIC)
    assert refused.value.code == "address_loopback" and len(peer.requests) == 1


async def test_a_connection_that_the_peer_closed_meanwhile_is_replaced_without_an_unknown_outcome(
    outbound, peer_with
) -> None:
    peer = await peer_with(answering(OK, close=True))
    for _ in range(3):
        assert (await post(outbound, peer.port)).status == 200
        await asyncio.sleep(0.02)
    assert peer.connections == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_never_followed(outbound, peer_with, status) -> None:
    inner = await peer_with(answering(OK))
    location = f"http://127.0.0.1:{inner.port}/"
    peer = await peer_with(
        answering(f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
    )
    assert (await post(outbound, peer.port)).status == status
    assert inner.connections == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_every_spelling_of_loopback_is_judged_by_what_it_resolves_to(outbound, peer_with, host) -> None:
    peer = await peer_with(answering(OK))
    with pytest.raises(RefusedError, match="not public"):
        await outbound.post(f"https://{host}:{peer.port}/", b"", {}, timeout_s=2, policy=PUBLIC)
    assert peer.connections == 0


async def test_a_mapped_address_is_dialled_where_the_policy_opens_what_it_carries(outbound, peer_with) -> None:
    peer = await peer_with(answering(OK))
    assert (await post(outbound, peer.port, host="[::ffff:127.0.0.1]")).status == 200


async def test_one_bad_address_among_good_ones_refuses_the_whole_name(peer_with) -> None:
    peer = await peer_with(answering(OK))
    names = Names(mixed=["93.184.215.14", "10.0.0.5"], inner=["127.0.0.1", "169.254.169.254"])
    door = Outbound(lookup=names)
    with pytest.raises(RefusedError) as refused:
        await door.post("https://mixed.example/", b"", {}, timeout_s=2, policy=PUBLIC)
    assert refused.value.code == "address_private"
    with pytest.raises(RefusedError) as refused:
        await post(door, peer.port, host="inner.example")
    assert refused.value.code == "address_link_local" and peer.connections == 0
    await door.close()


async def test_a_name_that_turns_to_an_inner_address_after_the_verdict_is_dialled_at_the_judged_one(peer_with) -> None:
    peer = await peer_with(answering(OK, close=True))
    names = Names(hook=["127.0.0.1"])
    door = Outbound(lookup=names)
    original = names.__call__

    async def rebinding(host: str) -> list[Address]:
        found = await original(host)
        names.answers["hook"] = ["169.254.169.254"]
        return found

    door = Outbound(lookup=rebinding)
    assert (await post(door, peer.port, host="hook.example")).status == 200
    await asyncio.sleep(0.02)
    assert (await post(door, peer.port, host="hook.example")).status == 200
    assert names.asked == ["hook.example"] and peer.connections == 2
    await door.close()


async def test_a_gigabyte_of_answer_is_cut_after_the_excerpt(outbound, peer_with) -> None:
    sent = 0

    def script(peer):
        async def serve(reader, writer):
            nonlocal sent
            await peer.next_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
            for _ in range(16384):
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536

        return serve

    peer = await peer_with(script)
    answer = await post(outbound, peer.port)
    assert (answer.status, len(answer.body_excerpt), answer.truncated) == (200, 20_000, True)
    await asyncio.sleep(0.05)
    assert sent < 32 * 1024 * 1024


async def test_a_gzip_bomb_stays_as_small_as_it_was_sent(outbound, peer_with) -> None:
    bomb = gzip.compress(b"\0" * 8_000_000)
    assert len(bomb) < 20_000
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    peer = await peer_with(answering(head.encode() + bomb))
    assert (await post(outbound, peer.port)).body_excerpt == bomb


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"X-Pad: " + b"x" * 200_000, "head_too_long"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000, "head_too_long"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, "head_too_long"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "malformed"),
    ],
)
async def test_an_answer_that_is_no_bounded_http_leaves_the_outcome_unknown(outbound, peer_with, answer, code) -> None:
    peer = await peer_with(answering(answer))
    with pytest.raises(OutcomeUnknownError) as unknown:
        await post(outbound, peer.port)
    assert unknown.value.code == code


@pytest.mark.parametrize("endless", [b"Trailer: x\r\n", b"1;extension=" + b"y" * 500 + b"\r\nx\r\n", b"0" * 100])
async def test_endless_framing_without_a_body_is_cut_long_before_the_deadline(outbound, peer_with, endless) -> None:
    def script(peer):
        async def serve(reader, writer):
            await peer.next_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"0\r\n" if endless.startswith(b"Trailer") else b"")
            while True:
                writer.write(endless * 100)
                await writer.drain()

        return serve

    peer = await peer_with(script)
    answer = await post(outbound, peer.port, timeout_s=10)
    assert answer.status == 200 and answer.truncated and answer.duration_ms < 2000


async def test_an_interim_answer_is_passed_over_and_a_body_may_be_framed_by_the_end(outbound, peer_with) -> None:
    peer = await peer_with(
        answering(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", b"HTTP/1.1 410 Gone\r\n\r\nbye", pause_s=0.01, close=True)
    )
    answer = await post(outbound, peer.port)
    assert (answer.status, answer.body_excerpt, answer.headers) == (410, b"bye", {})


async def test_an_answer_that_trickles_meets_the_total_deadline(outbound, peer_with) -> None:
    trickle = [bytes([each]) for each in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
    peer = await peer_with(answering(*trickle, pause_s=0.1))
    started = perf_counter()
    with pytest.raises(OutcomeUnknownError) as unknown:
        await post(outbound, peer.port, timeout_s=0.4)
    assert unknown.value.code == "timeout" and perf_counter() - started < 1.5


async def test_a_late_answer_is_never_read_as_the_answer_to_the_next_request(outbound, peer_with) -> None:
    delays = iter([0.5, 0.0])

    def script(peer):
        async def serve(reader, writer):
            while True:
                number = len(peer.requests)
                await peer.next_request(reader)
                await asyncio.sleep(next(delays))
                writer.write(f"HTTP/1.1 20{number} OK\r\nContent-Length: 0\r\n\r\n".encode())

        return serve

    peer = await peer_with(script)
    with pytest.raises(OutcomeUnknownError):
        await post(outbound, peer.port, timeout_s=0.2)
    assert (await post(outbound, peer.port)).status == 201


async def test_a_second_unasked_answer_costs_the_connection_and_is_not_believed(outbound, peer_with) -> None:
    peer = await peer_with(answering(OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
    assert [(await post(outbound, peer.port)).status for _ in range(2)] == [200, 200]
    assert peer.connections == 2


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
async def test_a_peer_that_dies_after_the_request_leaves_the_outcome_unknown(outbound, peer_with, part) -> None:
    peer = await peer_with(answering(part, close=True))
    with pytest.raises(OutcomeUnknownError) as unknown:
        await post(outbound, peer.port)
    assert unknown.value.code == "closed" and unknown.value.status == (200 if part else None)
    assert len(peer.requests) == 1


async def test_where_nothing_listens_or_nothing_resolves_nothing_was_sent(outbound) -> None:
    closed = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    with pytest.raises(ConnectFailedError) as failed:
        await post(outbound, port)
    assert failed.value.code == "connection_refused"
    with pytest.raises(ConnectFailedError) as failed:
        await post(outbound, port, host="nowhere.invalid")
    assert failed.value.code == "dns"


async def test_a_silent_name_server_delays_its_own_name_only(peer_with) -> None:
    peer = await peer_with(answering(OK))

    async def lookup(host: str) -> list[Address]:
        if host.startswith("silent"):
            await asyncio.sleep(60)
        return [ipaddress.ip_address("127.0.0.1")]

    door = Outbound(lookup=lookup)
    silent = asyncio.create_task(post(door, peer.port, host="silent.example", timeout_s=0.5))
    await asyncio.sleep(0)
    assert (await post(door, peer.port, host="hook.example", timeout_s=0.4)).status == 200
    with pytest.raises(ConnectFailedError):
        await silent
    await door.close()


async def test_tls_is_checked_against_the_name_and_not_against_the_pinned_address(peer_with, certificates) -> None:
    server_tls, client_tls = certificates("hook.example")
    peer = await peer_with(answering(OK), server_tls)
    door = Outbound(tls=client_tls, lookup=Names(hook=["127.0.0.1"], other=["127.0.0.1"]))
    assert (await post(door, peer.port, host="hook.example", tls=True)).status == 200
    for host in ("other.example", "127.0.0.1"):
        door = Outbound(tls=client_tls, lookup=Names(hook=["127.0.0.1"], other=["127.0.0.1"], **{"127": ["127.0.0.1"]}))
        with pytest.raises(ConnectFailedError) as failed:
            await post(door, peer.port, host=host, tls=True)
        assert failed.value.code == "tls_certificate"
    assert len(peer.requests) == 1
    untrusting = Outbound(lookup=Names(hook=["127.0.0.1"]))
    with pytest.raises(ConnectFailedError) as failed:
        await post(untrusting, peer.port, host="hook.example", tls=True)
    assert failed.value.code == "tls_certificate"


async def test_a_kept_tls_connection_of_one_name_serves_no_other_name(peer_with, certificates) -> None:
    server_tls, client_tls = certificates("hook.example")
    peer = await peer_with(answering(OK), server_tls)
    door = Outbound(tls=client_tls, lookup=Names(hook=["127.0.0.1"], other=["127.0.0.1"]))
    await post(door, peer.port, host="hook.example", tls=True)
    with pytest.raises(ConnectFailedError):
        await post(door, peer.port, host="other.example", tls=True)
    assert len(peer.requests) == 1
    await door.close()


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://user:secret@example.org/", "user_info"),
        ("https://example.org@127.0.0.1/", "user_info"),
        ("ftp://example.org/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("example.org/hook", "scheme"),
        ("https:///hook", "url"),
        ("https://example.org:0/", "url"),
        ("https://example.org:99999/", "url"),
        ("https://exa mple.org/", "url"),
        ("https://example.org/\r\nHost: inner", "url"),
        ("https://example.org\\@127.0.0.1/", "url"),
        ("https://ex\u00e4mple.org/", "url"),
        ("https://[fe80::1%25eth0]/", "url"),
        ("https://[v7.x]/", "url"),
        ("https://example.org/" + "x" * 2048, "url"),
        ("http://93.184.215.14/", "plain_text"),
        ("https://93.184.215.14:22/", "port"),
    ],
)
async def test_a_url_that_two_readers_could_read_differently_or_that_leaves_the_list_is_refused(
    outbound, url, code
) -> None:
    with pytest.raises(RefusedError) as refused:
        await outbound.check(url, SANDBOX)
    assert refused.value.code == code
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nX-B: 2"},
        {"X A": "1"},
        {"Host": "inner"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
    ],
)
async def test_a_header_can_neither_split_the_head_nor_change_the_framing(outbound, peer_with, headers) -> None:
    peer = await peer_with(answering(OK))
    with pytest.raises(RefusedError):
        await outbound.post(f"http://127.0.0.1:{peer.port}/", b"", headers, timeout_s=2, policy=SANDBOX)
    assert peer.connections == 0


async def test_proxies_of_the_environment_are_not_asked(outbound, peer_with, monkeypatch) -> None:
    proxy, peer = await peer_with(answering(OK)), await peer_with(answering(OK))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    await post(outbound, peer.port)
    assert (proxy.connections, peer.connections) == (0, 1)


async def test_a_cancelled_post_leaves_no_open_connection_behind(outbound, peer_with) -> None:
    ended = asyncio.Event()

    def script(peer):
        async def serve(reader, writer):
            await peer.next_request(reader)
            await reader.read()
            ended.set()

        return serve

    peer = await peer_with(script)
    task = asyncio.create_task(post(outbound, peer.port))
    while not peer.requests:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 2)


async def test_a_stream_for_other_protocols_goes_through_the_same_door(outbound, peer_with, certificates) -> None:
    def echo(peer):
        async def serve(reader, writer):
            writer.write(await reader.readuntil(b"\x1c\r"))
            await writer.drain()

        return serve

    server_tls, client_tls = certificates("mllp.example")
    plain, secured = await peer_with(echo), await peer_with(echo, server_tls)
    door = Outbound(lookup=Names(mllp=["127.0.0.1"], other=["127.0.0.1"]))
    with pytest.raises(RefusedError):
        await door.open_stream("mllp.example", plain.port, False, PUBLIC)
    with pytest.raises(ConnectFailedError):
        await door.open_stream("other.example", secured.port, client_tls, SANDBOX)
    for port, tls in ((plain.port, False), (secured.port, client_tls)):
        reader, writer = await door.open_stream("mllp.example", port, tls, OPERATOR)
        writer.write(b"\x0bMSH|\x1c\r")
        assert await reader.readuntil(b"\x1c\r") == b"\x0bMSH|\x1c\r"
        writer.close()
    await door.close()


def test_the_default_tls_checks_names_and_refuses_old_versions() -> None:
    from chartwire.trust.outbound import default_tls

    context = default_tls()
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
