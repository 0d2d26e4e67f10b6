"""bench/fhir asks what a server answers: the figures are the lead's, that nothing is refused is tested here."""

import asyncio
from itertools import islice

from bench.fhir.filling import fill_by_http
from bench.fhir.phases import PHASES
from bench.fhir.population import PER_PATIENT, resources
from bench.fhir.wire import Server, ask_for
from tests.integration.api.server_process import server
from tests.integration.clients.conftest import key_of

from chartwire.formats.fhir.validate import check


def test_the_population_is_valid_and_refers_to_itself():
    made = dict(resources(7, lambda key, kind: f"{kind}/{key}"))
    assert len(made) == PER_PATIENT
    assert [issue for body in made.values() for issue in check(body) if issue.severity == "error"] == []
    assert dict(resources(7, lambda key, kind: f"{kind}/{key}")) == made


def test_every_phase_is_answered(database):
    async def run(where):
        world = await fill_by_http(where, 2 * PER_PATIENT)
        return {phase.name: await ask_for(where, islice(phase.asks(world), 2), 1, 60.0) for phase in PHASES[:-1]}

    token = key_of(database.app_dsn)
    with server(database.app_dsn) as (_, base):
        measured = asyncio.run(run(Server(f"{base}/fhir/R4", f"Bearer {token}")))
    assert {name: found.failed for name, found in measured.items()} == dict.fromkeys(measured, 0)
