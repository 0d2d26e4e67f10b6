"""A small clinic with something of everything in it: messages that were carried, a dead one, a review, a receiver."""

from uuid import UUID

from tests.integration.feed import Feed, hl7, pid

from chartwire.core.ids import to_prefixed
from simulators.webhook_sink import WebhookSink

STRANGER = pid("1001", "Petrov^Igor", "19441231", "M")


async def filled(pool, engine_pool, org: UUID) -> dict[str, str]:
    """Fill an organisation; its things by the names that the story of examples gives them."""
    async with pool.transaction(org) as tx:
        await tx.execute("update organisation set kind = 'sandbox' where org_id = $1", org)
    feed = await Feed(pool, engine_pool, org).open()
    message, dead, _ = await feed.send(
        hl7("ADT^A04", pid(), "PV1|1|O|WARD^1^2"),
        hl7("SIU^S12", "SCH|nothing"),
        hl7("ADT^A08", STRANGER),
    )
    (patient,) = await feed.rows("select patient_id from message where id = $1", message)
    (review,) = await feed.rows("select id from review order by id limit 1")
    return {
        "message": to_prefixed("msg", message),
        "dead_message": to_prefixed("msg", dead),
        "review": to_prefixed("rev", review["id"]),
        "fed_patient": str(patient["patient_id"]),
    }


async def receiver() -> WebhookSink:
    """A webhook receiver on this machine."""
    return await WebhookSink([]).serve("127.0.0.1", 0)
