"""The server on a real socket: HTTP as clients and proxies speak it."""

import asyncio
import contextlib
import io
import json

import aiohttp
import pytest
from tests.integration.api.hub import a_patient
from yarl import URL

from chartwire.api.server import ServerSettings, serve_api
from chartwire.core.ids import to_prefixed
from chartwire.core.limits import API_BODY_BYTES_MAX


@contextlib.asynccontextmanager
async def serving(services):
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve_api(ServerSettings(port=0), services, stop, port.set_result))
    done, _ = await asyncio.wait({task, port}, return_when=asyncio.FIRST_COMPLETED)
    assert port in done, task.exception()
    try:
        yield f"http://127.0.0.1:{port.result()}"
    finally:
        stop.set()
        await task


@pytest.fixture
async def base(services):
    async with serving(services) as address:
        yield address


@pytest.fixture
async def http(client):
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {client.token}"}) as session:
        yield session


async def test_a_patient_is_read_over_a_socket_and_the_server_names_no_software(base, http, record):
    patient = to_prefixed("pat", await record.save("Patient", a_patient()))
    async with http.get(f"{base}/api/v1/patients/{patient}", headers={"X-Request-Id": "trace-7"}) as reply:
        assert (await reply.json())["id"] == patient
        assert reply.headers["X-Request-Id"] == "trace-7"
        assert "Server" not in reply.headers
        for name, value in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")):
            assert reply.headers[name] == value


async def test_head_is_get_without_the_body(base, http, record):
    patient = to_prefixed("pat", await record.save("Patient", a_patient()))
    url = f"{base}/api/v1/patients/{patient}"
    async with http.get(url) as got, http.head(url) as head:
        assert (head.status, await head.read()) == (200, b"")
        assert head.headers["Content-Length"] == str(len(await got.read()))
        assert head.headers["ETag"] == got.headers["ETag"]


JSON = {"Content-Type": "application/json"}
WRONG = [
    ("DELETE", "/api/v1/patients", {}, 405, "method_not_allowed"),
    ("GET", "/api/v1/nothing", {}, 404, "not_found"),
    ("GET", "/api/v1/patients/", {}, 404, "not_found"),
    ("GET", "/api/v1/patients?brith_date=x", {}, 400, "unknown_parameter"),
    ("GET", "/api/v1/patients?mrn=1&mrn=2", {}, 400, "duplicate_parameter"),
    ("GET", "/api/v1/patients?mrn=%00", {}, 400, "invalid_parameter"),
    ("GET", "/api/v1/patients?mrn=%ff", {}, 400, "invalid_parameter"),
    ("GET", "/api/v1/patients?limit=0", {}, 400, "invalid_parameter"),
    ("GET", "/api/v1/patients?limit=101", {}, 400, "invalid_parameter"),
    ("GET", "/api/v1/patients?limit=x", {}, 400, "invalid_parameter"),
    ("GET", "/api/v1/patients?include_total=yes", {}, 400, "invalid_parameter"),
    ("GET", "/api/v1/appointments?status=open", {}, 400, "invalid_parameter"),
    ("GET", "/api/v1/patients", {"headers": {"Accept": "text/csv"}}, 406, "not_acceptable"),
    (
        "POST",
        "/api/v1/keys",
        {"data": b"{}", "headers": {"Content-Type": "text/plain"}},
        415,
        "media_type_unsupported",
    ),
    (
        "POST",
        "/api/v1/keys",
        {"data": b"{", "headers": {"Content-Type": "application/json"}},
        400,
        "body_malformed",
    ),
    ("POST", "/api/v1/keys", {"json": {"name": 1}}, 422, "invalid_body"),
    (
        "POST",
        "/api/v1/keys",
        {"data": io.BytesIO(b" " * API_BODY_BYTES_MAX + b"{}"), "headers": JSON},
        413,
        "body_too_large",
    ),
]


async def test_each_wrong_request_has_its_own_status_and_code(base, http):
    for method, path, sent, status, code in WRONG:
        async with http.request(method, URL(base + path, encoded=True), **sent) as reply:
            problem = json.loads(await reply.read())
            assert (reply.status, problem["status"], problem["code"]) == (status, status, code), path
            assert reply.headers["Content-Type"] == "application/problem+json"
            assert problem["request_id"] == reply.headers["X-Request-Id"]
            wanted = {
                "type",
                "title",
                "status",
                "detail",
                "instance",
                "code",
                "class",
                "retryable",
                "request_id",
                "errors",
            }
            assert set(problem) == wanted
            assert problem["type"] == f"/docs/problems#{code}"
            assert (reply.headers.get("Allow") == "GET, HEAD, OPTIONS, POST") == (status == 405)


async def test_an_unknown_parameter_is_answered_with_the_nearest_known_one(base, http):
    async with http.get(f"{base}/api/v1/patients?brith_date=1984-02-29") as reply:
        (fault,) = (await reply.json(content_type=None))["errors"]
    assert (fault["pointer"], "birth_date" in fault["detail"]) == ("/birth_date", True)


async def test_where_a_problem_points_there_is_a_page_that_explains_it(base, http):
    async with http.get(f"{base}/api/v1/patients?limit=0") as reply:
        link = (await reply.json(content_type=None))["type"]
    page, _, anchor = link.partition("#")
    async with http.get(base + page) as reply:
        assert f'id="{anchor}"' in await reply.text()


async def test_options_tells_the_methods(base, http):
    async with http.options(f"{base}/api/v1/keys") as reply:
        assert (reply.status, reply.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert not {"Content-Length", "Transfer-Encoding", "Content-Type"} & reply.headers.keys()


async def test_what_is_open_to_everyone_needs_no_key_and_writes_no_audit_row(base, record):
    async with aiohttp.ClientSession() as session:
        for path in (
            "/",
            "/docs",
            "/docs/problems",
            "/openapi.json",
            "/fhir/R4/metadata",
            "/health/live",
            "/health/ready",
        ):
            async with session.get(base + path) as reply:
                assert reply.status == 200, path
        async with session.get(f"{base}/metrics") as reply:
            assert reply.status == 503  # no exporter was handed to this process
    assert await record.audit_rows() == []


async def test_a_server_that_stops_lets_requests_in_flight_end(services, client, record):
    patient = to_prefixed("pat", await record.save("Patient", a_patient()))
    async with serving(services) as base, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {client.token}"}
        calls = [
            asyncio.create_task(session.get(f"{base}/api/v1/patients/{patient}", headers=headers)) for _ in range(8)
        ]
        await asyncio.gather(*calls)
    assert [call.result().status for call in calls] == [200] * 8
