"""A client that speaks ASGI, and resources and messages stored as the record stores them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.mllp.verdicts import preview
from chartwire.record.fhir_index import RULES, IndexChanges
from chartwire.record.index import index_values
from chartwire.store.queries import q
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.seal import Sealer

MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Client:
    """Calls the application as a server would."""

    app: object
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path, query=None, **headers):
        return await self.call("GET", path, query, headers=headers)

    async def post(self, path, value, **headers):
        body = json.dumps(value).encode()
        return await self.call("POST", path, body=body, headers={"content-type": "application/json", **headers})

    async def put(self, path, value, **headers):
        return await self.send("PUT", path, value, **headers)

    async def patch(self, path, value, **headers):
        return await self.send("PATCH", path, value, **headers)

    async def send(self, method, path, value, **headers):
        body = json.dumps(value).encode()
        return await self.call(method, path, body=body, headers={"content-type": "application/json", **headers})

    async def call(self, method, path, query=None, *, body=b"", headers=None):
        if query is None and "?" in path:
            path, _, text = path.partition("?")
        else:
            text = urlencode(query or {})
        sent = {**({"authorization": f"Bearer {self.token}"} if self.token else {}), **self.headers, **(headers or {})}
        if body:
            sent["content-length"] = str(len(body))
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": text.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()],
        }
        told = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            told.append(message)

        await self.app(scope, receive, send)
        start, *chunks = told
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], found, b"".join(chunk["body"] for chunk in chunks))


@dataclass
class Record:
    """Saves resources through the functions that the record uses."""

    pool: object
    org: UUID

    async def save(self, kind, body, *, version=1, deleted=False, patient=None, message=None, lineage="{}", at=None):
        resource_id = UUID(body["id"]) if "id" in body else uuid7()
        at = at or datetime.now(UTC)
        stored = {"resourceType": kind, **body, "id": str(resource_id), "meta": {"versionId": str(version)}}
        if kind == "Patient":
            patient = resource_id
        async with self.pool.transaction(self.org) as tx:
            row = [
                [kind],
                [resource_id],
                [version],
                [at],
                [deleted],
                [patient],
                [None],
                [message],
                ["feed:test"],
                [json.dumps(stored, separators=(",", ":"))],
                [lineage],
            ]
            await tx.execute(q.save_resources, *row, RULES)
            changes = IndexChanges()
            changes.replace(kind, resource_id, None if deleted else stored)
            await tx.execute(q.write_fhir_index, *changes.columns())
            await tx.execute("delete from search_value where org_id = $1 and resource_id = $2", self.org, resource_id)
            if not deleted:
                values = sorted(index_values(kind, stored, at))
                columns = (
                    [kind] * len(values),
                    [v[0] for v in values],
                    [v[1] for v in values],
                    [resource_id] * len(values),
                )
                await tx.execute(q.insert_search_values, self.org, *columns)
        return resource_id

    async def merge(self, loser, survivor):
        async with self.pool.transaction(self.org) as tx:
            await tx.execute(q.insert_merges, self.org, [uuid7()], [loser], [survivor], [None], ["test"], [None])

    async def message(self, **columns):
        message_id = columns.pop("id", None) or uuid7()
        raw = columns.pop("raw", b"MSH|^~\\&|A|B|C|D|20261120||ADT^A01|M1|P|2.5.1\r")
        row = {
            "org_id": self.org,
            "id": message_id,
            "source_id": UUID(int=7),
            "received_at": datetime.now(UTC),
            "state": "processed",
            "event": "ADT^A01",
            "control_id": "M1",
            "charset": "utf-8",
            "body_bytes": len(raw),
            "mode": "live",
        } | columns
        names = ", ".join(row)
        marks = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        async with self.pool.transaction(self.org) as tx:
            await tx.execute(f"insert into message ({names}) values ({marks})", *row.values())
            await tx.execute("insert into message_body values ($1, $2, 'raw', $3)", self.org, message_id, raw)
        return message_id

    async def audit_rows(self, org=None):
        org = org or self.org
        async with self.pool.transaction(org) as tx:
            return await tx.fetch("select * from audit order by id")


def a_patient(family="Okonkwo", given="Adaeze", mrn="MRN-0001", **more):
    return {
        "identifier": [{"type": MR, "system": "urn:chartwire:authority:HOSP_A", "value": mrn}],
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": "+1 416 555 0100", "use": "home"}],
        "gender": "female",
        "birthDate": "1984-02-29",
        **more,
    }


def services_of(pool, door):
    """Every service that a running API has, over a pool and an outbound door."""
    return Services(
        pool=pool,
        credentials=Credentials(pool),
        audit=AuditTrail(pool),
        sealer=Sealer(bytes(range(32))),
        outbound=door,
        preview_ack=preview,
    )


async def new_client(services, app, org, *scopes):
    operator = Access(org, "cli:test", "HOPERAT", frozenset({"*"}))
    key = await services.credentials.create(operator, name="test", scopes=scopes or ["*"])
    return Client(app, key.token)
