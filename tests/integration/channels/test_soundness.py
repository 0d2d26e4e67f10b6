"""What R4 says against a sender's word: it is stored, and told of in the findings of the message."""

import orjson
from tests.integration.feed import Feed, hl7, pid

from chartwire.store.pool import Pool

LEFT_BEFORE_IT_CAME = "PV1|1|I|W3^312^A^HOSP" + "|" * 16 + "V1^^^HOSP^VN" + "|" * 25 + "20260302|20260301"


async def test_a_broken_invariant_is_stored_and_flagged(pool: Pool, engine_pool: Pool, org_id) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    [message] = await feed.send(hl7("ADT^A03", "EVN||20260302", pid(), LEFT_BEFORE_IT_CAME))
    [row] = await feed.rows("select state, outcome from message where id = $1", message)
    assert row["state"] == "processed"
    assert ["per-1", "Encounter.period"] in orjson.loads(row["outcome"])["findings"]
    [visit] = await feed.rows("select body from resource where type = 'Encounter'")
    assert orjson.loads(visit["body"])["period"]["start"] > "2026-03-01"
