"""The API behind a proxy, with a certificate of its own, and while it leaves: on real sockets."""

import asyncio
import contextlib
import ssl
from dataclasses import replace
from pathlib import Path

import aiohttp
from tests.e2e.authority import Authority

from chartwire.api.clients import Clients
from chartwire.api.server import ServerSettings, serve_api
from chartwire.trust.certificates import LOOK_EVERY_S, TlsSettings

PATIENTS = "/api/v1/patients"


@contextlib.asynccontextmanager
async def serving(services, **settings):
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve_api(ServerSettings(port=0, **settings), services, stop, port.set_result))
    try:
        yield await port
    finally:
        stop.set()
        await task


def proxied(services, base_url="https://hub.example.org"):
    return replace(services, clients=Clients(["127.0.0.1"]), base_url=base_url)


async def asked(port, client, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{port}{PATIENTS}"
    sent = {"Authorization": f"Bearer {client.token}", **named}
    async with aiohttp.ClientSession() as session, session.get(url, headers=sent) as reply:
        return reply.status, reply.headers, await reply.json(content_type=None)


async def test_the_audit_trail_keeps_the_address_that_the_trusted_proxy_saw(services, client, record):
    async with serving(proxied(services)) as port:
        forwarded = {"x_forwarded_for": "192.0.2.66, 203.0.113.9", "x_forwarded_proto": "https"}
        status, headers, _ = await asked(port, client, **forwarded)
    assert status == 200
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert [row["client"] for row in await record.audit_rows()] == ["203.0.113.9"]
    told = (await client.get(f"/api/v1/requests/{headers['X-Request-Id']}")).json
    assert told["client"] == "203.0.113.9"


async def test_what_a_stranger_says_about_its_address_is_not_believed(services, client, record):
    async with serving(services) as port:
        status, headers, _ = await asked(port, client, x_forwarded_for="203.0.113.9", x_forwarded_proto="http")
    assert status == 200
    assert "Strict-Transport-Security" not in headers
    assert [row["client"] for row in await record.audit_rows()] == ["127.0.0.1"]


async def test_a_key_that_came_to_the_proxy_in_the_clear_is_refused_where_https_is_the_address(services, client):
    async with serving(proxied(services)) as port:
        status, _, problem = await asked(port, client, x_forwarded_proto="http")
        assert (status, problem["code"]) == (403, "tls_required")
    async with serving(proxied(services, base_url="http://hub.internal")) as port:
        assert (await asked(port, client, x_forwarded_proto="http"))[0] == 200


async def test_the_api_speaks_https_and_takes_up_a_renewed_certificate(services, tmp_path):
    authority = Authority(tmp_path)
    stem = authority.issue("hub.example.org")
    files = TlsSettings(Path(f"{stem}.pem"), Path(f"{stem}.key"))
    trusting = ssl.create_default_context(cafile=authority.path)

    async def shown(port, name):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async with serving(services, tls=files) as port:
        assert b"200 OK" in await shown(port, "hub.example.org")
        renewed = authority.issue("renewed.example.org")
        Path(f"{renewed}.key").replace(files.key)
        Path(f"{renewed}.pem").replace(files.certificate)
        async with asyncio.timeout(LOOK_EVERY_S * 2):
            while True:
                with contextlib.suppress(ssl.SSLCertVerificationError):
                    assert b"200 OK" in await shown(port, "renewed.example.org")
                    break
                await asyncio.sleep(0.2)


async def test_a_process_that_leaves_says_so_to_balancers_and_serves_on(services, client):
    leaving = asyncio.Event()
    async with serving(replace(services, leaving=leaving.is_set)) as port, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/health/ready") as reply:
            assert (reply.status, reply.headers.get("Connection")) == (200, None)
        leaving.set()
        async with session.get(f"http://127.0.0.1:{port}/health/ready") as reply:
            assert reply.status == 503
            assert (await reply.json())["checks"]["leaving"] == {"ok": False}
        async with session.get(f"http://127.0.0.1:{port}/health/live") as reply:
            assert reply.status == 200
        status, headers, _ = await asked(port, client)
        assert (status, headers["Connection"]) == (200, "close")
