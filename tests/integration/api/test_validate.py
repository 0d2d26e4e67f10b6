"""Messages tried by API: nothing is stored, the settings of a source count, and another organisation's do not."""

from tests.integration.feed import hl7, pid

from chartwire.channels.sources import create_source
from chartwire.core.ids import to_prefixed, uuid7
from chartwire.core.source import IdentifierRule, Source

TEXT = {"content-type": "application/hl7-v2"}
MESSAGE = hl7("ADT^A01", pid("100", "Doe"))


async def tried(client, data, query=None, path="/api/v1/hl7/validate", **headers):
    return await client.call("POST", path, query, body=data, headers={**TEXT, **headers})


async def test_a_message_is_told_its_issues_its_answer_and_what_it_would_become(client, pool, org_id):
    reply = await tried(client, MESSAGE)
    assert reply.status == 200, reply.body
    assert reply.json["object"] == "hl7_validation"
    (one,) = reply.json["messages"]
    assert one["event"] == "ADT^A01"
    assert one["ack"]["code"] == "AA"
    assert one["ack"]["message"].startswith("MSH|")
    assert one["map"] == "ADT^A01"
    assert {entry["resource"]["resourceType"] for entry in one["bundle"]["entry"]} >= {"Patient"}
    assert one["counts"]["error"] == sum(issue["severity"] == "error" for issue in one["issues"])
    async with pool.transaction(org_id) as tx:
        assert await tx.fetchval("select count(*) from message") == 0
        assert await tx.fetchval("select count(*) from resource") == 0
