"""The API's pure parts: filters, routes, page tokens, headers, problems, OpenAPI."""

import contextlib
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.api import openapi
from chartwire.api.http import Request, accepts
from chartwire.api.problem import ApiError, problem_body, problem_headers
from chartwire.api.rest import filters
from chartwire.api.rest.pages import page_limit, resume, seal_position
from chartwire.api.routes import Route, Router
from chartwire.api.table import ROUTES
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, TransientError
from chartwire.store import search_sql
from chartwire.trust.credentials import SCOPES
from chartwire.trust.seal import Sealer

ACCESS = Access(UUID(int=1), "key:1", "HOPERAT", frozenset("*"), credential_id=UUID(int=2))
SEALER = Sealer(bytes(32))


def request(**headers):
    pairs = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return Request({"method": "GET", "path": "/", "headers": pairs}, None)


def terms(table, name, text):
    return next(one for one in table if one.name == name).terms(text)


@pytest.mark.parametrize(
    ("table", "name", "text", "wanted"),
    [
        (filters.PATIENTS, "mrn", " Ab-1 ", "ab-1"),
        (filters.PATIENTS, "identifier", "urn:OID|Ab|C", "urn:OID|Ab|c"),
        (filters.PATIENTS, "phone", " 1 (416) 555-0100", "14165550100"),
        (filters.PATIENTS, "birth_date", "1984-02", "1984-02"),
        (filters.PATIENTS, "updated_at_gte", "2026-11-20T08:00:00 02:00", "2026-11-20T06:00:00.000Z"),
        (filters.PATIENTS, "updated_at_gte", "2026-11-20", "2026-11-20T00:00:00.000Z"),
        (filters.APPOINTMENTS, "patient_id", "pat_nonsense", "Patient/none"),
        (filters.PROVIDERS, "npi", "1234567893", "http://hl7.org/fhir/sid/us-npi|1234567893"),
    ],
)
def test_a_parameter_is_looked_up_as_the_index_writes_it(table, name, text, wanted):
    assert terms(table, name, text)[0].value == wanted


@pytest.mark.parametrize(
    ("table", "name", "text"),
    [
        (filters.PATIENTS, "birth_date", "29.02.1984"),
        (filters.PATIENTS, "birth_date", "2026-02-30"),
        (filters.PATIENTS, "phone", "none"),
        (filters.PATIENTS, "updated_at_lt", "2025-10-19T07:00:00"),
        (filters.PATIENTS, "updated_at_lt", "0001-01-01T00:00:00+14:00"),
        (filters.APPOINTMENTS, "status", "booked,Okonkwo"),
        (filters.APPOINTMENTS, "date", "2025-10"),
        (filters.APPOINTMENTS, "date", "0001-01-01"),
    ],
)
def test_a_value_that_cannot_be_is_refused_without_being_quoted(table, name, text):
    with pytest.raises(ApiError) as caught:
        terms(table, name, text)
    assert caught.value.faults[0].pointer == f"/{name}"
    assert text not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*filters.PATIENTS, *filters.APPOINTMENTS, *filters.PROVIDERS]), st.text(max_size=40))
def test_every_text_is_searched_for_or_refused_and_nothing_else(one, text):
    try:
        found = one.terms(text)
    except ApiError:
        return
    assert all(isinstance(term.value, str | tuple) for term in found)


def test_a_day_is_bounded_by_where_it_can_begin_and_end_on_earth():
    day, low, high = terms(filters.APPOINTMENTS, "date", "2026-11-20")
    assert day.value == "2026-11-20"
    assert (low.value, high.value) == ("2026-11-19T10:00:00.000Z", "2026-11-21T12:00:00.000Z")


def test_no_value_of_a_request_becomes_part_of_the_sql():
    hostile = "'; drop table resource; --"
    terms_of_it = (search_sql.Term("family", "eq", hostile), search_sql.Term("name", "prefix", hostile))
    found = search_sql.Search("Patient", terms_of_it, "sort_name")
    for build in (search_sql.by_id, search_sql.by_value, search_sql.without_value, search_sql.counting):
        sql, args = build(UUID(int=1), found)
        assert "drop" not in sql
        assert hostile in args
    with pytest.raises(ValueError, match="index parameter"):
        search_sql.literal("name'--")


def test_a_path_is_found_whole_or_not_at_all():
    async def handle(*_):
        raise AssertionError

    routes = [
        Route(method, path, handle, "", None)
        for method, path in (("GET", "/a"), ("GET", "/a/{id}"), ("POST", "/a/{id}/b"))
    ]
    router = Router([*routes, Route("GET", "/a/metadata", handle, "", None)])
    assert router.find("/a/7")[1] == ("7",)
    assert router.find("/a/metadata")[1] == ()
    assert list(router.find("/a/7/b")[0]) == ["POST"]
    for path in ("", "/", "/a/", "/a//b", "/a/7/", "/a/7/c", "//a", "/b"):
        assert router.find(path) is None, path


def test_a_route_that_stands_twice_in_the_table_is_a_fault():
    with pytest.raises(AssertionError, match="twice"):
        Router([*ROUTES, ROUTES[0]])


def test_a_page_token_brings_its_filters_along_and_shows_none_of_them():
    query = {"family": "Okonkwo", "limit": "2", "sort": "-name"}
    token = seal_position(SEALER, ACCESS, "patients", query, ["okonkwo", "1"])
    assert "konkwo" not in token
    resumed, position = resume(SEALER, ACCESS, "patients", {"page_token": token, "limit": "9"}, 2)
    assert (resumed["family"], resumed["sort"], resumed["limit"]) == ("Okonkwo", "-name", "9")
    assert position == ["okonkwo", "1"]


def test_a_page_token_ends_after_24_hours(monkeypatch):
    token = seal_position(SEALER, ACCESS, "patients", {}, ["1"])
    monkeypatch.setattr("chartwire.api.rest.pages.time.time", lambda: 4e9)
    with pytest.raises(ApiError) as caught:
        resume(SEALER, ACCESS, "patients", {"page_token": token})
    assert caught.value.code == "page_token_expired"


def test_a_page_token_of_another_organisation_is_refused():
    token = seal_position(SEALER, ACCESS, "patients", {}, ["1"])
    other = Access(UUID(int=9), "key:1", "HOPERAT", frozenset("*"), credential_id=UUID(int=2))
    with pytest.raises(ApiError) as caught:
        resume(SEALER, other, "patients", {"page_token": token})
    assert caught.value.code == "page_token_mismatch"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_as_page_token_or_limit_is_refused_in_form(text):
    with pytest.raises(ApiError):
        resume(SEALER, ACCESS, "patients", {"page_token": text})
    with contextlib.suppress(ApiError):
        assert 1 <= page_limit({"limit": text}) <= 100


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        (None, True),
        (b"", True),
        (b"*/*", True),
        (b"application/*", True),
        (b"text/html, application/JSON;q=0.5", True),
        (b"text/html", False),
        (b"application/xml", False),
    ],
)
def test_an_accept_header_is_read_by_type(accept, taken):
    assert accepts(accept, b"application/json") is taken


def test_a_request_id_is_taken_over_when_it_is_safe_to_print():
    assert request(x_request_id=b"a-b.c:1").request_id == "a-b.c:1"
    for wrong in (b"", b"a b", b"x" * 129, b"a\nb", "ü".encode()):
        assert request(x_request_id=wrong).request_id.startswith("req_")


def test_problems_follow_the_error_and_quote_no_database():
    busy = problem_body(TransientError("a table name", code="sql_57014"), "req_1")
    assert (busy.status, busy.retryable, busy.class_) == (503, True, "transient")
    assert "table" not in busy.detail
    assert (b"retry-after", b"2") in problem_headers(TransientError("x", code="y"))
    assert problem_body(ConflictError("state", code="held"), "r").status == 409


def test_whatever_has_a_version_takes_if_match_where_it_is_changed_or_removed():
    versioned = {route.path for route in ROUTES if route.method == "GET" and has_version(route.answer)}
    changing = [route for route in ROUTES if route.method in {"PUT", "PATCH", "DELETE"} and route.path in versioned]
    assert len(changing) >= 14
    assert [f"{route.method} {route.path}" for route in changing if not route.conditional] == []


def has_version(answer):
    struct = isinstance(answer, type) and issubclass(answer, msgspec.Struct)
    return struct and bool({"version", "etag"} & {one.encode_name for one in msgspec.structs.fields(answer)})


def test_the_openapi_document_names_every_route_scope_and_parameter_and_every_reference_resolves():
    document = openapi.document(ROUTES, "1.0")
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert described == {(route.path, route.method.lower()) for route in ROUTES}
    identifiers = [
        operation["operationId"] for operations in document["paths"].values() for operation in operations.values()
    ]
    assert len(set(identifiers)) == len(identifiers)
    text = msgspec.json.encode(document).decode()
    for reference in text.split('"$ref":"#/components/')[1:]:
        kind, name = reference.partition('"')[0].split("/")
        assert name in document["components"][kind]
    assert {scope for route in ROUTES for scope in (route.scope or "").split()} <= SCOPES
    patients = document["paths"]["/api/v1/patients"]["get"]
    assert {"mrn", "birth_date_gte", "page_token"} <= {one.get("name") for one in patients["parameters"]}
    assert patients["security"] == [{"key": ["patients.read"]}]
