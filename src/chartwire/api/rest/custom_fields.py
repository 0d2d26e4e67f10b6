"""The registry of custom fields: define, list, read, change, retire."""

from dataclasses import replace
from typing import Literal

import msgspec

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.record import custom_fields
from chartwire.record.custom_values import FHIR_TYPES, FieldType, Noun
from chartwire.record.custom_values import CustomField as Definition
from chartwire.store.pool import Connection


class CustomField(msgspec.Struct, frozen=True):
    """A field of a practice's own. `extension` is the URL under which FHIR carries its values."""

    id: str
    noun: Noun
    name: str
    type: FieldType
    label: str
    required: bool
    searchable: bool
    max_length: int | None
    values: list[str]
    retired: bool
    extension: str
    created_at: str
    updated_at: str
    object: Literal["custom_field"] = "custom_field"


class CustomFieldOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to define. `values` are the codes of a `code`; `max_length` bounds a `string`, in characters."""

    noun: Noun
    name: str
    type: FieldType
    label: str
    required: bool = False
    searchable: bool = False
    max_length: int | None = None
    values: list[str] = []


class CustomFieldChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change; members that are left out stay. `type` changes only while no value exists."""

    type: FieldType | msgspec.UnsetType = msgspec.UNSET
    label: str | msgspec.UnsetType = msgspec.UNSET
    required: bool | msgspec.UnsetType = msgspec.UNSET
    searchable: bool | msgspec.UnsetType = msgspec.UNSET
    max_length: int | msgspec.UnsetType | None = msgspec.UNSET
    values: list[str] | msgspec.UnsetType = msgspec.UNSET
    retired: bool | msgspec.UnsetType = msgspec.UNSET


class CustomFieldPage(Page, frozen=True, omit_defaults=True):
    """Every custom field."""

    data: list[CustomField]


@idempotent
async def create(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/custom-fields`: 201."""
    order = await request.body(CustomFieldOrder)
    draft = Definition(
        order.noun, order.name, order.type, order.label, order.required, order.searchable, order.max_length,
        tuple(order.values),
    )  # fmt: skip
    made = _shown(await custom_fields.create(tx, request.access, draft))
    return json_answer(made, status=201, headers=[(b"location", f"{_BASE}/{made.id}".encode())], count=1)


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/custom-fields`: all of them, retired ones too."""
    noun = request.query.get("noun")
    if noun is not None and noun not in FHIR_TYPES:
        raise bad_parameter("noun", f"is one of {', '.join(FHIR_TYPES)}")
    async with services.pool.transaction(request.access.org) as tx:
        found = await custom_fields.many(tx, request.access, noun)
    return json_answer(Page([_shown(one) for one in found], False, None, "list"), count=len(found))


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/custom-fields/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        return json_answer(_shown(await _standing(request, tx)), count=1)


@idempotent
async def change(request: Request, _: Services, tx: Connection) -> Answer:
    """`PATCH /api/v1/custom-fields/{id}`."""
    standing = await _standing(request, tx)
    order = await request.body(CustomFieldChange)
    told = {name: value for name, value in msgspec.structs.asdict(order).items() if value is not msgspec.UNSET}
    if "values" in told:
        told["allowed"] = tuple(told.pop("values"))
    return json_answer(
        _shown(await custom_fields.amend(tx, request.access, standing, replace(standing, **told))), count=1
    )


@idempotent
async def retire(request: Request, _: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/custom-fields/{id}`: 204; its values stay and are read, none can be written."""
    standing = await _standing(request, tx)
    await custom_fields.amend(tx, request.access, standing, replace(standing, retired=True))
    return Answer(b"", 204, count=1)


async def _standing(request: Request, tx: Connection) -> Definition:
    try:
        return await custom_fields.one(tx, request.access, in_path("custom_field", request.parts[0]))
    except NotFoundError:
        raise not_found() from None


def _shown(one: Definition) -> CustomField:
    assert one.created_at is not None, "it was read from the store"
    assert one.updated_at is not None, "it was read from the store"
    return CustomField(
        id=shown("custom_field", one.id),
        noun=one.noun,
        name=one.name,
        type=one.type,
        label=one.label,
        required=one.required,
        searchable=one.searchable,
        max_length=one.max_length,
        values=list(one.allowed),
        retired=one.retired,
        extension=one.url,
        created_at=instant(one.created_at),
        updated_at=instant(one.updated_at),
    )


_BASE, _TAG, _TYPE = "/api/v1/custom-fields", "custom fields", "CustomField"
_READ, _WRITE = "custom_fields.read", "custom_fields.write"
_NOUN = Parameter("noun", "Fields of this noun only", "string", tuple(FHIR_TYPES))
ROUTES = (
    Route(
        "GET",
        _BASE,
        many,
        "List custom fields",
        _READ,
        _TYPE,
        "search",
        parameters=(_NOUN,),
        answer=CustomFieldPage,
        tag=_TAG,
    ),
    Route(
        "POST",
        _BASE,
        create,
        "Define a custom field",
        _WRITE,
        _TYPE,
        "create",
        answer=CustomField,
        body=CustomFieldOrder,
        status=201,
        tag=_TAG,
    ),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a custom field", _READ, _TYPE, answer=CustomField, tag=_TAG),
    Route(
        "PATCH",
        f"{_BASE}/{{id}}",
        change,
        "Change a custom field",
        _WRITE,
        _TYPE,
        "update",
        answer=CustomField,
        body=CustomFieldChange,
        tag=_TAG,
    ),
    Route("DELETE", f"{_BASE}/{{id}}", retire, "Retire a custom field", _WRITE, _TYPE, "delete", status=204, tag=_TAG),
)
