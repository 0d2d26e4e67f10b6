"""FHIR Binary: bytes that clients send, kept as those of embedded documents are (contents.py; R4 2.36).

The stored resource says what the bytes are and who may read them; an extension of `data`, which is left out, names the
content. So the same bytes are kept once, however many resources and versions have them. A content that came with a
feed's document is read under its own id: it is no resource, has no versions, and nobody writes it.
"""

import binascii
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, FaultsError
from chartwire.core.fhir_ids import local_reference
from chartwire.core.limits import BINARY_BYTES_MAX
from chartwire.mapping.conversion import Content, Json
from chartwire.record.bodies import plain_json, read_json
from chartwire.record.contents import named_content, naming
from chartwire.record.fhir_refusals import GoneError
from chartwire.record.standing import Standing
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

TYPE = "Binary"
_DOCUMENT_HAS_ID = "the id is that of a document's content, which stays as it came: post a new Binary"


@dataclass(frozen=True, slots=True)
class Binary:
    """Bytes under a logical id, of a media type as it was told, with the patients that they are about.

    `version`, `updated_at` and `head` (the resource as it is stored) are those of a resource; a document's content has
    version 0 and no head.
    """

    id: str
    media_type: str
    data: bytes
    patients: tuple[UUID, ...]
    updated_at: datetime
    version: int = 0
    head: str = ""

    @property
    def context(self) -> str:
        """The reference whose readers may read it; empty without one."""
        told: Json = read_json(self.head).get("securityContext", {}) if self.head else {}
        return str(told.get("reference", ""))

    @property
    def text(self) -> str:
        """The resource with its bytes, as JSON."""
        if self.head:
            return _with_data(self.head, self.data)
        told = {"resourceType": TYPE, "id": self.id, "contentType": self.media_type}
        return plain_json({**told, "data": _coded(self.data)})


# Reading ------------------------------------------------------------------------------------------------------------


async def read_binary(pool: Pool, access: Access, wanted: UUID, version: int | None = None) -> Binary | None:
    """What stands under an id, or one version of it; None where this organisation has nothing there, and where the
    resource of its security context is there no more: nobody may read that, so nobody may read this. Raises GoneError
    for a version that is a deletion."""
    async with pool.transaction(access.org) as tx:
        document = await tx.fetchrow(q.read_content, access.org, wanted) if version is None else None
        if document is not None:
            return _of_document(wanted, document)
        row = await tx.fetchrow(q.read_binary, access.org, wanted, version)
        if row is None:
            return None
        if row["deleted"]:
            raise GoneError
        head = read_json(row["body"])
        if not await _may_be_read(tx, access, head):
            return None
        data: bytes = await tx.fetchval(q.bytes_of_content, access.org, named_content(head))
    patients = (row["patient_id"],) if row["patient_id"] else ()
    return Binary(head["id"], head["contentType"], data, patients, row["updated_at"], row["version"], row["body"])


def _of_document(wanted: UUID, row: Row) -> Binary:
    return Binary(str(wanted), row["media_type"], row["data"], tuple(row["patients"]), row["created_at"])


async def _may_be_read(tx: Connection, access: Access, head: Json) -> bool:
    ref = context_of(head)
    return ref is None or bool(await tx.fetch(q.which_stand, access.org, [ref[0]], [ref[1]]))


# Writing ------------------------------------------------------------------------------------------------------------


def laid_apart(body: Json) -> tuple[Json, Content]:
    """A Binary as it is stored, and its bytes. Raises FaultsError for one without bytes, with too many, or that names a
    content by itself."""
    if "_data" in body:
        raise _refused("/_data", "is not taken: send the bytes as `data`")
    try:
        data = binascii.a2b_base64("".join(str(body.get("data", "")).split()), strict_mode=True)
    except ValueError:
        raise _refused("/data", "is base64 with its padding (RFC 4648)") from None
    if not data:
        raise _refused("/data", "is there: a Binary without bytes is not kept")
    if len(data) > BINARY_BYTES_MAX:
        raise _refused("/data", f"has at most {BINARY_BYTES_MAX} bytes here")
    content = Content.of(data, body["contentType"])
    return {**{name: value for name, value in body.items() if name != "data"}, "_data": naming(content.id)}, content


def context_of(body: Json) -> tuple[str, UUID] | None:
    """The resource whose readers may read a Binary; None where everyone with the scope may. Raises FaultsError for a
    security context that is no reference to a resource here."""
    told = body.get("securityContext")
    if told is None:
        return None
    found = local_reference(told.get("reference", ""))
    if found is None:
        raise _refused("/securityContext", "is a reference to a resource of this server, such as `Patient/123`")
    return found


def owner_by_context(body: Json, context: Standing | None) -> UUID | None:
    """Whose a Binary is: the patient of its security context. Raises FaultsError where that is not there."""
    if context_of(body) is None:
        return None
    if context is None or context.deleted:
        raise _refused("/securityContext", "leads to nothing that is there", "reference_not_found")
    return context.patient_id


async def check_free(tx: Connection, access: Access, wanted: UUID) -> None:
    """Raises ConflictError (`id_taken`) where a document's content has this id."""
    if await tx.fetchval(q.shows_document, access.org, wanted):
        raise ConflictError(_DOCUMENT_HAS_ID, code="id_taken")


def shown(held: Standing, contents: Mapping[UUID, Content]) -> str:
    """The text of a resource that was just written: that of a Binary with its bytes, which are among `contents`."""
    content = contents.get(named_content(held.body) or held.id) if held.type == TYPE else None
    return held.text if content is None else _with_data(held.text, content.data)


def _with_data(head: str, data: bytes) -> str:
    body: dict[str, Any] = read_json(head)
    del body["_data"]
    return plain_json({**body, "data": _coded(data)})


def _coded(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _refused(pointer: str, rule: str, code: str = "invalid_value") -> FaultsError:
    place = pointer.removeprefix("/")
    return FaultsError(f"`Binary.{place}` {rule}", code=code, faults=[(pointer, code, rule)])
