"""Webhook endpoints in configuration files: members as in the API, sources by name, secrets by reference."""

from collections.abc import Mapping
from typing import Any

import msgspec

from chartwire.api.rest.endpoint_models import EndpointOrder
from chartwire.app.configuration.kind import Entry, Held, Values
from chartwire.app.configuration.references import resolved, variable
from chartwire.channels.source_store import stored_sources
from chartwire.core.access import Access
from chartwire.core.errors import AuthError, FaultsError, ValidationError
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.delivery import destinations
from chartwire.delivery.destinations import Draft, Endpoint
from chartwire.delivery.settings import NAMES, EndpointSettings
from chartwire.delivery.signature import decode_secret
from chartwire.store.pool import Connection, Pool
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

_MEMBERS = EndpointOrder.__struct_fields__


class EndpointKind:
    """See kind.Kind. A secret that is left out is made when the endpoint is, and told once; a reference that is not set
    here leaves the secret that stands."""

    section = "webhook_endpoints"
    secrets = frozenset({"secret", "headers"})
    single = False

    def __init__(self, pool: Pool, door: Outbound, sealer: Sealer) -> None:
        self._pool, self._door, self._sealer = pool, door, sealer

    def name_of(self, values: Mapping[str, Any]) -> str:
        return str(values.get("name", "webhook"))

    async def held(self, tx: Connection, access: Access) -> list[Held]:
        names = {shown: name for name, shown in (await _source_ids(tx, access)).items()}
        return [await self._held(tx, access, one, names) for one in await destinations.list_all(tx, access)]

    def exported(self, held: Held) -> Values:
        least = _whole(EndpointOrder(url=""))
        kept = {name: value for name, value in held.values.items() if name not in self.secrets
                and (name in ("name", "url", "event_types") or value != least[name])}  # fmt: skip
        stem = f"env:{variable(held.name)}"
        headers = {name: f"{stem}_HEADER_{variable(name)}" for name in held.values["headers"]}
        return {**kept, "secret": f"{stem}_SECRET"} | ({"headers": headers} if headers else {})

    async def read(self, entry: Entry) -> Values:
        order = _order({name: value for name, value in entry.values.items() if name != "secret"})
        whole = _whole(order) | {"secret": _secret(entry), "headers": _headers(order.headers, entry)}
        try:
            await destinations.check(self._pool, entry.access, self._door, _draft(whole, {}))
        except (ValidationError, AuthError) as error:
            raise FaultsError(error.message, code=error.code, faults=[("", error.code, error.message)]) from None
        return whole

    async def create(self, tx: Connection, access: Access, values: Values) -> dict[str, str]:
        draft = _draft(values, await _source_ids(tx, access))
        _, secret = await destinations.register(tx, access, self._sealer, draft, secret=values["secret"] or None)
        return {} if values["secret"] else {"secret": secret}

    async def change(self, tx: Connection, access: Access, held: Held, values: Values) -> None:
        draft, endpoint = _draft(values, await _source_ids(tx, access)), held.ref
        await destinations.change(tx, access, self._sealer, endpoint.id, draft, version=endpoint.version)
        if values["secret"] != held.values["secret"]:
            await destinations.rotate_secret(tx, access, self._sealer, endpoint.id, secret=values["secret"])

    async def retire(self, tx: Connection, access: Access, held: Held) -> None:
        await destinations.delete(tx, access, held.ref.id)

    async def finish(self, tx: Connection, access: Access) -> None:
        """Each endpoint stands for itself."""

    async def _held(self, tx: Connection, access: Access, endpoint: Endpoint, names: Mapping[str, str]) -> Held:
        settings = {name: _json(getattr(endpoint.settings, name)) for name in NAMES}
        if "sources" in settings["filters"]:
            settings["filters"]["sources"] = [names.get(one, one) for one in settings["filters"]["sources"]]
        secrets = await destinations.secrets_of(tx, access, self._sealer, endpoint.id)
        values = settings | {
            "name": endpoint.name,
            "url": endpoint.url,
            "event_types": list(endpoint.event_types),
            "api_version": endpoint.api_version,
            "headers": await destinations.headers_of(tx, access, self._sealer, endpoint.id),
            "secret": secrets[0].text if secrets else "",
        }
        return Held(endpoint.name, values, endpoint)


def _order(values: Values) -> EndpointOrder:
    try:
        return msgspec.convert(values, EndpointOrder)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$")
        pointer = place.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise FaultsError("not an endpoint", code="config_file", faults=[(pointer, "invalid_value", rule)]) from None


def _whole(order: EndpointOrder) -> Values:
    return {name: _json(getattr(order, name)) for name in _MEMBERS}


def _json(value: Any) -> Any:
    """A value as it comes out of a file: lists, no tuples."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _draft(values: Values, source_ids: Mapping[str, str]) -> Draft:
    """`source_ids` by name; without any, sources are left out, to be judged when they are written."""
    settings = {name: values[name] for name in NAMES}
    wanted = settings["filters"].get("sources", ())
    settings["filters"] = settings["filters"] | {"sources": _ids(wanted, source_ids) if source_ids else ()}
    return Draft(values["name"], values["url"], tuple(values["event_types"]), values["api_version"],
                 msgspec.convert(settings, EndpointSettings), values["headers"])  # fmt: skip


def _ids(names: list[str], source_ids: Mapping[str, str]) -> list[str]:
    known = {*source_ids, *source_ids.values()}
    if not known.issuperset(names):
        rule = "name a source that is not there"
        raise FaultsError(f"filters.sources {rule}", code="config_file",
                          faults=[("/filters/sources", "unknown_source", rule)])  # fmt: skip
    return [source_ids.get(name, name) for name in names]


async def _source_ids(tx: Connection, access: Access) -> dict[str, str]:
    found = await stored_sources(tx, access.org)
    return {one.source.name: to_prefixed(PREFIXES["source"], one.source.id) for one in found}


def _secret(entry: Entry) -> str:
    """The secret that is wanted; '' for one to be made."""
    standing: str = entry.held.values["secret"] if entry.held else ""
    if "secret" not in entry.values:
        return standing
    secret = resolved("/secret", entry.values["secret"], standing or None, entry.resolve)
    try:
        decode_secret(secret)
    except ValidationError as error:
        raise FaultsError(error.message, code=error.code, faults=[("/secret", error.code, error.message)]) from None
    return secret


def _headers(references: Mapping[str, str], entry: Entry) -> dict[str, str]:
    standing: Mapping[str, str] = entry.held.values["headers"] if entry.held else {}
    return {
        name: resolved(f"/headers/{name}", reference, standing.get(name), entry.resolve)
        for name, reference in references.items()
    }
