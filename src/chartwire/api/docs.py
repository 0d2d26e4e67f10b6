"""Pages for people: which doors there are, every operation, every problem. Self-contained, offline, without script."""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from itertools import groupby

import orjson

from chartwire.api.http import HTML, Answer, Request
from chartwire.api.openapi import document
from chartwire.api.problem import catalogue
from chartwire.api.routes import Route
from chartwire.api.services import Services

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2733}"
    "code,pre{font:14px/1.5 ui-monospace,monospace;background:#f2f5f7;padding:.1rem .3rem;border-radius:3px}"
    "pre{padding:.8rem;overflow:auto}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #dde3e8}"
    "h2{margin-top:2.5rem}.verb{font-weight:600}"
)
_CODE = re.compile(r"`([^`]+)`")
_DOORS = (
    ("/docs", "Every operation of the practice API"),
    ("/docs/problems", "Every problem that an answer can name"),
    ("/openapi.json", "The same for programs: OpenAPI 3.1"),
    ("/fhir/R4/metadata", "What the FHIR R4 door can do"),
    ("/health/live", "Whether this process answers"),
    ("/health/ready", "Whether it is ready for work"),
    ("/metrics", "Prometheus metrics"),
)


async def root(_: Request, services: Services) -> Answer:
    """`GET /`: a plain page that names the doors."""
    rows = "".join(f'<tr><td><a href="{path}">{path}</a></td><td>{escape(told)}</td></tr>' for path, told in _DOORS)
    text = (
        f"<p>Chartwire {escape(services.version)} runs here. It takes HL7 v2 messages over MLLP and gives one clean "
        f"record per patient as JSON, FHIR R4 and signed webhooks.</p><table>{rows}</table>"
        "<pre>curl -H 'Authorization: Bearer cw_...' http://localhost:8080/api/v1/patients?limit=5</pre>"
    )
    return _page("Chartwire", text)


async def problems(_: Request, __: Services) -> Answer:
    """`GET /docs/problems`: where `type` of a problem leads."""
    rows = "".join(
        f'<tr id="{one["code"]}"><td><code>{one["code"]}</code></td><td>{one["status"]}</td>'
        f"<td>{escape(one['title'])}</td></tr>"
        for one in catalogue()
    )
    return _page("Problems", f"<table><tr><th>code</th><th>status</th><th>meaning</th></tr>{rows}</table>")


def routes(documented: Sequence[Route]) -> tuple[Route, ...]:
    """The routes of the documentation of `documented`."""

    @cache
    def openapi_text(version: str) -> bytes:
        return orjson.dumps(document(documented, version))

    @cache
    def operations_page() -> Answer:
        tagged = sorted(documented, key=lambda route: route.tag)
        groups = groupby(tagged, key=lambda route: route.tag)
        return _page(
            "Operations", "".join(f"<h2>{escape(tag)}</h2>{''.join(map(_operation, of))}" for tag, of in groups)
        )

    async def openapi(_: Request, services: Services) -> Answer:
        return Answer(openapi_text(services.version))

    async def operations(_: Request, __: Services) -> Answer:
        return operations_page()

    return (
        Route("GET", "/", root, "The doors", None, media="text/html"),
        Route("GET", "/docs", operations, "Every operation", None, media="text/html"),
        Route("GET", "/docs/problems", problems, "Every problem", None, media="text/html"),
        Route("GET", "/openapi.json", openapi, "OpenAPI 3.1", None),
    )


def _told(text: str) -> str:
    """Text with `code` as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _operation(route: Route) -> str:
    scope = f"needs <code>{route.scope}</code>" if route.scope else "open to everyone"
    rows = "".join(
        f"<tr><td><code>{escape(one.name)}</code></td><td>{_told(one.description)}</td></tr>"
        for one in route.parameters
    )
    table = f"<table>{rows}</table>" if rows else ""
    head = f'<p><span class="verb">{route.method}</span> <code>{escape(route.path)}</code> &middot; {scope}<br>'
    return f"{head}{_told(route.summary)}</p>{table}"


def _page(title: str, text: str) -> Answer:
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{text}</html>"
    )
    return Answer(body.encode(), 200, HTML)
