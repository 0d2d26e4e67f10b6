"""The documentation of this installation: what it can do, told by itself. Offline, quick, and without foreign code."""

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import orjson

from chartwire.api.http import Answer, Request
from chartwire.api.openapi import document
from chartwire.api.portal import operations
from chartwire.api.portal.catalogue import events_page, problems_page, webhook_items
from chartwire.api.portal.guides import FOLDERS, guides
from chartwire.api.portal.page import Link, Section, asset, page
from chartwire.api.problem import catalogue, not_found
from chartwire.api.routes import Route
from chartwire.api.services import Services

Json = dict[str, Any]

_NO_BASE_URL = "http://127.0.0.1:8080"
_LETTERS = {"fhir": "FHIR", "hl7": "HL7", "r4": "R4"}
_START = """
<section class="hero"><h1>Chartwire</h1>
<p>HL7 v2 in, one clean FHIR record per patient, and everyone else gets it in the form they speak: a small practice API,
FHIR R4, signed webhooks. This is version {version}, as it runs on this server.</p></section>
<section class="cards">
<a href="/docs/guide/start/quick-start"><h2>Quick start</h2>
<p>A clinic of your own: its feed, its first message, its first webhook.</p></a>
<a href="/docs/api/patients"><h2>Practice API</h2>
<p>Patients, appointments, providers, locations: read, write, batch.</p></a>
<a href="/docs/api/messages"><h2>Messages</h2><p>What arrived over HL7 v2, what it became, and how to replay it.</p></a>
<a href="/docs/api/webhooks"><h2>Webhooks</h2><p>Endpoints, signatures, deliveries, replays of what was missed.</p></a>
<a href="/docs/events"><h2>Events</h2><p>Every event type with a sample, for webhooks and the change feed.</p></a>
<a href="/docs/problems"><h2>Problems</h2><p>Every error that an answer can name, and what to do about it.</p></a>
</section>
<section><h2>First request</h2>
<p>Type a key into the bar above to try any request of these pages on this server; it stays in this page and is never
stored. From a terminal:</p>
<pre><code>export CHARTWIRE={base_url} KEY=cw_…
curl -H "Authorization: Bearer $KEY" "$CHARTWIRE/api/v1/patients?limit=5"</code></pre></section>
<section><h2>Six rules of the API</h2><dl class="rules">
<dt>Retries are safe</dt><dd>Send <code>Idempotency-Key</code> with whatever changes something: the same request has one
effect and gets the same answer for a day, marked <code>Idempotent-Replayed: true</code>.</dd>
<dt>Nobody is overwritten</dt><dd><code>ETag</code> names a version; send it back in <code>If-Match</code> and a change
in between is 412, not lost.</dd>
<dt>Errors say where</dt><dd><a href="/docs/problems">Problems</a> (RFC 9457) carry a code for programs and pointers
for people, never a value that was sent.</dd>
<dt>Pages do not skip</dt><dd>Follow <code>next_page_token</code> or <code>Link: rel="next"</code>; what is written
meanwhile neither repeats nor hides a row.</dd>
<dt>Limits are told</dt><dd><code>RateLimit</code> says what is left of a minute's quota; 429 comes with
<code>Retry-After</code>.</dd>
<dt>Every request has a name</dt><dd><code>X-Request-Id</code>, yours or ours;
<a href="/docs/api/requests">GET /api/v1/requests/{{id}}</a> tells what became of it. A W3C <code>traceparent</code>
goes along.</dd></dl></section>
<section><h2>Other doors</h2><ul class="doors"><li><a href="/openapi.json">/openapi.json</a> OpenAPI 3.1</li>
<li><a href="/fhir/R4/metadata">/fhir/R4/metadata</a> what the FHIR door can do</li>
<li><a href="/health/ready">/health/ready</a> whether it is ready for work</li>
<li><a href="/metrics">/metrics</a> Prometheus metrics</li></ul></section>
"""


class Portal:
    """The pages over a route table. What takes time is made once: anyone may ask."""

    def __init__(self, documented: Sequence[Route]) -> None:
        self._documented = documented
        self.document = cache(self._document)
        self._document_text = cache(lambda version: orjson.dumps(self.document(version)))
        self._search_text = cache(self._search)
        self._articles = cache(self._articles_by_tag)

    def routes(self) -> tuple[Route, ...]:
        """The routes of the documentation."""
        page_of = (
            ("/", self.start, "The first page"),
            ("/docs", self.start, "The documentation"),
            ("/docs/api/{tag}", self.tag, "The operations of one part"),
            ("/docs/events", self.events, "Every event type"),
            ("/docs/problems", self.problems, "Every problem"),
            ("/docs/deprecations", self.deprecations, "What will go"),
            ("/docs/guide/{folder}/{name}", self.guide, "A guide"),
            ("/docs/assets/{name}", self.asset, "Style and script"),
        )
        return (
            *(Route("GET", path, handle, summary, None, media="text/html") for path, handle, summary in page_of),
            Route("GET", "/docs/search.json", self.search, "What can be found in these pages", None),
            Route("GET", "/openapi.json", self.openapi, "OpenAPI 3.1", None),
        )

    async def openapi(self, _: Request, services: Services) -> Answer:
        """`GET /openapi.json`."""
        return Answer(self._document_text(services.version))

    async def start(self, request: Request, services: Services) -> Answer:
        """`GET /docs`, and `/`."""
        told = {"version": escape(services.version), "base_url": services.base_url or _NO_BASE_URL}
        return self._page(request, services, "Documentation", _START.format(**told))

    async def tag(self, request: Request, services: Services) -> Answer:
        """`GET /docs/api/{tag}`."""
        found = self._articles(services.version).get(request.parts[0])
        if found is None:
            raise not_found()
        title, text = found
        return self._page(request, services, title, f"<h1>{escape(title)}</h1>{text}")

    async def events(self, request: Request, services: Services) -> Answer:
        """`GET /docs/events`."""
        return self._page(request, services, "Events", events_page())

    async def problems(self, request: Request, services: Services) -> Answer:
        """`GET /docs/problems`: where `type` of a problem leads."""
        return self._page(request, services, "Problems", problems_page())

    async def deprecations(self, request: Request, services: Services) -> Answer:
        """`GET /docs/deprecations`: where `Link: rel="deprecation"` leads."""
        going = [route for route in self._documented if route.deprecated is not None]
        rows = "".join(
            f"<tr><td><code>{route.method} {escape(route.path)}</code></td><td>{route.deprecated}</td>"
            f"<td>{route.sunset or ''}</td></tr>"
            for route in going
        )
        table = f"<table><tr><th>Operation</th><th>Deprecated</th><th>Gone after</th></tr>{rows}</table>"
        text = (
            table if going else "<p>Nothing is about to go. Additions need no new version; removals are told here.</p>"
        )
        return self._page(request, services, "Deprecations", f"<h1>Deprecations</h1>{text}")

    async def guide(self, request: Request, services: Services) -> Answer:
        """`GET /docs/guide/{folder}/{name}`."""
        found = guides().get((request.parts[0], request.parts[1]))
        if found is None:
            raise not_found()
        return self._page(request, services, found.title, f'<article class="guide">{found.html}</article>')

    async def asset(self, request: Request, _: Services) -> Answer:
        """`GET /docs/assets/{name}`."""
        found = asset(request.parts[0])
        if found is None:
            raise not_found()
        return found

    async def search(self, _: Request, services: Services) -> Answer:
        """`GET /docs/search.json`: title, address and further words of everything."""
        return Answer(self._search_text(services.version))

    def _document(self, version: str) -> Json:
        return document(self._documented, version, webhook_items())

    def _articles_by_tag(self, version: str) -> dict[str, tuple[str, str]]:
        whole = self.document(version)
        return {
            _slug(tag): (_named(tag), "".join(operations.article(*one, whole["components"]) for one in listed))
            for tag, listed in operations.by_tag(whole).items()
        }

    def _page(self, request: Request, services: Services, title: str, text: str) -> Answer:
        return page(title, text, self._navigation(services.version), request.path)

    def _navigation(self, version: str) -> list[Section]:
        tags = operations.by_tag(self.document(version))
        shown = {
            folder: [Link(one.href, one.title) for one in guides().values() if one.folder == folder]
            for folder in FOLDERS
        }
        return [
            Section("Start", [Link("/docs", "Overview"), *shown.pop("start")]),
            Section("API", [Link(f"/docs/api/{_slug(tag)}", _named(tag)) for tag in tags]),
            Section("Catalogues", [Link("/docs/events", "Events"), Link("/docs/problems", "Problems")]),
            *(Section(FOLDERS[folder], links) for folder, links in shown.items() if links),
        ]

    def _search(self, version: str) -> bytes:
        whole = self.document(version)
        found = [
            (operation["summary"], f"/docs/api/{_slug(tag)}#{operation['operationId']}", f"{method.upper()} {path}")
            for tag, listed in operations.by_tag(whole).items()
            for method, path, operation in listed
        ]
        found += [(name, f"/docs/events#{name}", item["post"]["summary"]) for name, item in whole["webhooks"].items()]
        found += [(one.title, one.href, FOLDERS[one.folder]) for one in guides().values()]
        found += [(one["code"], f"/docs/problems#{one['code']}", one["title"]) for one in catalogue()]
        return orjson.dumps(found)


def routes(documented: Sequence[Route]) -> tuple[Route, ...]:
    """The routes of the documentation of `documented`."""
    return Portal(documented).routes()


def _slug(tag: str) -> str:
    return tag.replace(" ", "-")


def _named(tag: str) -> str:
    """A tag as a title."""
    words = [_LETTERS.get(word, word) for word in tag.split()]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])
