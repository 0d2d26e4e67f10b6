"""How an organisation wants to be written to through FHIR: three of its settings (`chartwire org fhir`)."""

from dataclasses import dataclass

import msgspec

from chartwire.core.access import Access
from chartwire.core.errors import NotFoundError, ValidationError
from chartwire.core.limits import CONDITIONAL_DELETES_MAX
from chartwire.store.pool import Connection
from chartwire.store.queries import q


@dataclass(frozen=True, slots=True)
class Policy:
    """`update_creates`: whether a client may choose the id of a new resource (PUT). `strict_references`: whether a
    reference to what is not there is refused. `deletes_max`: how many resources one conditional delete may delete."""

    update_creates: bool = True
    strict_references: bool = False
    deletes_max: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.deletes_max <= CONDITIONAL_DELETES_MAX:
            raise ValidationError(
                f"a conditional delete deletes 1 to {CONDITIONAL_DELETES_MAX} resources", code="bad_policy"
            )


async def policy_of(tx: Connection, access: Access) -> Policy:
    """How the organisation of the access wants to be written to. Raises NotFoundError for one that is not there."""
    told = await tx.fetchval(q.fhir_policy, access.org)
    if told is None:
        raise NotFoundError("no organisation has this id", code="unknown_id")
    return read_policy(told)


def read_policy(text: str | None) -> Policy:
    """The policy as it stands in an organisation's settings; what it does not name is as by default."""
    return Policy() if text is None else _decoder.decode(text)


async def set_policy(tx: Connection, access: Access, policy: Policy) -> None:
    """Let the organisation be written to so from now on. Raises NotFoundError for an organisation that is not there."""
    if await tx.fetchval(q.set_fhir_policy, access.org, msgspec.json.encode(policy).decode()) is None:
        raise NotFoundError("no organisation has this id", code="unknown_id")


_decoder = msgspec.json.Decoder(Policy)
