"""What a Bundle is answered: one entry for each of its entries, in their order (R4 3.1.0.11.4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from uuid import UUID

import orjson

from chartwire.api.http import FHIR_JSON, Answer
from chartwire.core.clock import instant
from chartwire.formats.fhir.bundles import Kind

_OUTCOME = b'{"resourceType":"OperationOutcome"'
_NOTHING: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one entry. `body` is a resource as it stands, an OperationOutcome, or empty."""

    status: int
    location: str = ""
    etag: str = ""
    modified: datetime | None = None
    body: bytes = b""
    count: int = 0
    patients: Iterable[UUID] = _NOTHING

    @classmethod
    def of(cls, answer: Answer) -> "Response":
        """The answer that the entry would get if it came alone."""
        headers = {name: value.decode("latin-1") for name, value in answer.headers}
        modified = headers.get(b"last-modified")
        return cls(
            answer.status,
            headers.get(b"location", ""),
            headers.get(b"etag", ""),
            parsedate_to_datetime(modified) if modified else None,
            answer.body,
            answer.count,
            answer.patients,
        )

    def entry(self) -> bytes:
        """The entry as JSON."""
        told = {"status": f"{self.status} {HTTPStatus(self.status).phrase}"}
        if self.location:
            told["location"] = self.location
        if self.etag:
            told["etag"] = self.etag
        if self.modified:
            told["lastModified"] = instant(self.modified)
        response = orjson.dumps(told)
        if not self.body:
            return b'{"response":%s}' % response
        if self.body.startswith(_OUTCOME):
            return b'{"response":%s,"outcome":%s}}' % (response[:-1], self.body)
        return b'{"resource":%s,"response":%s}' % (self.body, response)


def bundle_answer(kind: Kind, responses: Sequence[Response]) -> Answer:
    """The Bundle that tells of every entry. Its audit row lists the patients of all."""
    told = b",".join(response.entry() for response in responses)
    entries = b',"entry":[%s]' % told if told else b""
    body = b'{"resourceType":"Bundle","type":"%s-response"%s}' % (kind.encode(), entries)
    patients = {patient for response in responses for patient in response.patients}
    return Answer(body, 200, FHIR_JSON, (), sum(response.count for response in responses), sorted(patients))
