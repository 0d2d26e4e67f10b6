"""How an organisation wants to be written to through FHIR: its settings, read once in a while."""

from dataclasses import dataclass

import msgspec

from chartwire.core.access import Access
from chartwire.store.pool import Connection
from chartwire.store.queries import q


@dataclass(frozen=True, slots=True)
class Policy:
    """`update_creates`: whether a client may choose the id of a new resource (PUT). `strict_references`: whether a
    reference to what is not there is refused. `deletes_max`: how many resources one conditional delete may delete."""

    update_creates: bool = True
    strict_references: bool = False
    deletes_max: int = 1


async def policy_of(tx: Connection, access: Access) -> Policy:
    """How the organisation of the access wants to be written to."""
    return read_policy(await tx.fetchval(q.fhir_policy, access.org))


def read_policy(text: str | None) -> Policy:
    """The policy as it stands in an organisation's settings; what it does not name is as by default."""
    return Policy() if text is None else _decoder.decode(text)


_decoder = msgspec.json.Decoder(Policy)
