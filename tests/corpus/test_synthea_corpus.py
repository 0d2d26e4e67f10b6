"""Synthea's transaction Bundles load by `chartwire fhir load`, whole and once, and what they link is linked."""

import asyncio
import json
from collections import Counter

import orjson
import pytest
from tests.corpus.test_hl7v2_corpus import CORPORA
from tests.integration.api.server_process import server
from tests.integration.clients.conftest import key_of

from chartwire.app.cli import main
from chartwire.core.fhir_ids import local_reference
from chartwire.record.references import references_of
from chartwire.store.pool import Pool

BUNDLES = CORPORA / "synthea-bulk" / "fhir"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not BUNDLES.is_dir(), reason="../shared/corpora is absent"),
]


async def stored(dsn):
    """Every current body of the one organisation."""
    pool = Pool(dsn, size=1)
    async with pool.connection() as connection:
        rows = await connection.fetch("select body from resource")
    await pool.close()
    return [orjson.loads(row["body"]) for row in rows]


def test_every_bundle_is_loaded_whole_and_its_links_lead_to_what_was_loaded(database, tmp_path, monkeypatch, capsys):
    sent = [orjson.loads(path.read_bytes()) for path in BUNDLES.glob("*.json")]
    expected = Counter(entry["resource"]["resourceType"] for bundle in sent for entry in bundle["entry"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(key_of(database.app_dsn))
    with server(database.app_dsn) as (_, base):
        told = []
        for _ in range(2):
            code = main(["fhir", "load", str(BUNDLES), "--url", f"{base}/fhir/R4", "--key-file", "key", "--json"])
            told.append(json.loads(capsys.readouterr().out))
            assert code == 0, (tmp_path / "fhir-load.errors.ndjson").read_text()[:2000]
    assert [one["loaded"] for one in told] == [expected.total(), 0]
    bodies = asyncio.run(stored(database.admin_dsn))
    assert Counter(body["resourceType"] for body in bodies) == expected
    here = {local_reference(f"{body['resourceType']}/{body['id']}") for body in bodies}
    dangling = {place for body in bodies for place, ref in references_of(body, body["resourceType"]) if ref not in here}
    assert dangling == set()
    assert not any(b"urn:uuid:" in orjson.dumps(one) for body in bodies for one in links_of(body))


def links_of(node):
    """Every Reference below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for held in node.values():
            yield from links_of(held)
    elif isinstance(node, list):
        for held in node:
            yield from links_of(held)
