"""The searches that certification asks of a US Core server (6.1.0 and 7.0.0, SHALL and SHOULD), over data of our own."""

import pytest
from tests.integration.api.us_core.charts import resources, table
from tests.integration.api.us_core.reading import asked, found_at, matches, place, values

_TABLE = table("searches.yaml")
_CHARTS = resources()
_BY_KEY = {(one["resourceType"], one["id"]): one for one in _CHARTS}
_COMPARATORS = ("gt", "ge", "lt", "le")
_JSON = "application/fhir+json"


def of_type(kind):
    return [one for one in _CHARTS if one["resourceType"] == kind]


def with_all(kind, params):
    return [one for one in of_type(kind) if all(values(one, param) for param in params)]


def expected(kind, query):
    return {one["id"] for one in of_type(kind) if all(matches(one, param, value) for param, value in query.items())}


@pytest.fixture
async def server(client):
    for one in _CHARTS:
        path = f"/fhir/R4/{one['resourceType']}/{one['id']}"
        reply = await client.put(path, one, **{"content-type": _JSON})
        assert reply.status == 201, (path, reply.json)
    return client


async def found(server, kind, query, method="GET"):
    """The ids that a search matches, over all its pages; also what came along."""
    if method == "POST":
        form = "&".join(f"{name}={value}" for name, value in query.items()).replace("+", "%2B").encode()
        media = {"content-type": "application/x-www-form-urlencoded"}
        reply = await server.call("POST", f"/fhir/R4/{kind}/_search", body=form, headers=media)
    else:
        reply = await server.get(f"/fhir/R4/{kind}", query)
    matched, along = [], []
    for _ in range(20):
        assert reply.status == 200, (kind, query, reply.json)
        assert reply.json["type"] == "searchset"
        for entry in reply.json.get("entry", []):
            (matched if entry["search"]["mode"] == "match" else along).append(entry["resource"])
        onward = [link["url"] for link in reply.json["link"] if link["relation"] == "next"]
        if not onward:
            break
        reply = await server.get("/fhir" + onward[0].partition("/fhir")[2])
    assert len({one["id"] for one in matched}) == len(matched), "a resource came twice"
    return {one["id"] for one in matched}, along


async def test_every_combination_finds_what_matches_and_nothing_else(server):
    for kind, combinations in _TABLE["combinations"].items():
        for combination in combinations:
            params = combination.split("+")
            bearers = with_all(kind, params)
            assert bearers, f"no data for {kind}?{combination}"
            for bearer in bearers:
                query = {param: asked(bearer, param) for param in params}
                wanted = expected(kind, query)
                assert bearer["id"] in wanted
                assert (await found(server, kind, query))[0] == wanted, (kind, query)


async def test_a_search_by_post_finds_what_the_same_search_by_get_finds(server):
    for kind, combinations in _TABLE["combinations"].items():
        params = combinations[-1].split("+")
        query = {param: asked(with_all(kind, params)[0], param) for param in params}
        assert await found(server, kind, query, "POST") == await found(server, kind, query)


async def test_a_patient_is_named_by_id_or_by_reference_alike(server):
    for kind, combinations in _TABLE["combinations"].items():
        for params in [one.split("+") for one in combinations if "patient" in one.split("+")]:
            query = {param: asked(with_all(kind, params)[0], param) for param in params}
            by_reference = query | {"patient": f"Patient/{query['patient']}"}
            assert await found(server, kind, query) == await found(server, kind, by_reference)


async def test_dates_are_compared_by_every_comparator(server):
    for kind, combinations in _TABLE["combinations"].items():
        for params in [one.split("+") for one in combinations]:
            dates = [param for param in params if place(kind, param)[1] in ("date", "period")]
            for date in dates:
                bearer = with_all(kind, params)[0]
                query = {param: asked(bearer, param) for param in params}
                for comparator in _COMPARATORS:
                    day = query[date].removeprefix("ge")
                    for precision in (day, day[:7], f"{day}-02"[:10] + "T08:30:00+02:00"):
                        compared = query | {date: f"{comparator}{precision}"}
                        assert (await found(server, kind, compared))[0] == expected(kind, compared), (kind, compared)


async def test_codes_are_found_with_and_without_their_system(server):
    for kind, combinations in _TABLE["combinations"].items():
        for params in [one.split("+") for one in combinations]:
            for token in [param for param in params if place(kind, param)[1] in ("token", "identifier")]:
                query = {param: asked(with_all(kind, params)[0], param) for param in params}
                plain = query | {token: query[token].partition("|")[2]}
                assert (await found(server, kind, plain))[0] == expected(kind, plain)


async def test_all_codes_at_once_between_commas_find_all(server):
    for kind, params in _TABLE["several"].items():
        for param in params:
            codes = sorted({value for one in of_type(kind) for value in values(one, param)})
            query = {"patient": "ada", param: ",".join(codes)}
            if kind == "MedicationRequest" and param == "status":
                query["intent"] = "order,plan"
            assert (await found(server, kind, query))[0] == expected(kind, query)


async def test_every_search_brings_the_provenance_of_what_it_finds(server):
    for kind, combinations in _TABLE["combinations"].items():
        params = combinations[0].split("+")
        query = {param: asked(with_all(kind, params)[0], param) for param in params}
        matched, along = await found(server, kind, query | {"_revinclude": "Provenance:target"})
        targets = {ref["reference"] for one in along for ref in one["target"]}
        told = {target.removeprefix(f"{kind}/").partition("/_history")[0] for target in targets}
        assert matched and matched <= told, (kind, query)
        assert {one["resourceType"] for one in along} == {"Provenance"}


async def test_includes_bring_what_is_referred_to_and_nothing_else(server):
    for kind, param, wanted, path in _TABLE["includes"]:
        params = _TABLE["combinations"][kind][0].split("+")
        for bearer in of_type(kind):
            query = {one: asked(bearer, one) for one in params if values(bearer, one)}
            if len(query) < len(params):
                continue
            matched, along = await found(server, kind, query | {"_include": f"{kind}:{param}"})
            told = [_BY_KEY[kind, one] for one in matched]
            steps = f"{path}.reference"
            names = {ref for one in told for ref in found_at(one, steps) if ref.startswith(f"{wanted}/")}
            assert {f"{one['resourceType']}/{one['id']}" for one in along} == names, (kind, param)


async def test_what_is_found_is_read_by_its_id_and_its_references_resolve(server):
    for one in _CHARTS:
        reply = await server.get(f"/fhir/R4/{one['resourceType']}/{one['id']}")
        assert reply.status == 200
        assert {name: reply.json[name] for name in one if name != "meta"} == {
            n: v for n, v in one.items() if n != "meta"
        }
        assert reply.json["meta"]["profile"] == one["meta"]["profile"] if "meta" in one else True


async def test_names_match_family_given_and_text(server):
    for value in ("Famada", "Givenada", "Maria", "givenada maria"):
        assert "ada" in (await found(server, "Patient", {"name": value}))[0]


async def test_a_comma_in_a_value_is_escaped(server):
    code = r"http://snomed.info/sct|38341003\,x"
    assert (await found(server, "Condition", {"patient": "ada", "code": code}))[0] == set()
