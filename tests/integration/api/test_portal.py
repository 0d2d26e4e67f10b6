"""The documentation as a browser gets it: whole, offline, and without anything that its policy would stop."""

import re
from html.parser import HTMLParser

import pytest
from tests.integration.api.hub import Client

from chartwire.api.openapi import operation_id
from chartwire.api.problem import catalogue
from chartwire.api.table import DOCUMENTED
from chartwire.delivery.catalogue import event_types


class Page(HTMLParser):
    """What a page names: links, ids, files; and what it would run."""

    def __init__(self, reply):
        super().__init__()
        self.links, self.ids, self.files, self.inline = set(), set(), set(), []
        self.feed(reply.body.decode())

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.ids.add(told.get("id"))
        if tag == "a":
            self.links.add(told["href"])
        if tag in {"script", "link", "img"}:
            self.files.add(told.get("src") or told.get("href"))
        self.inline += [name for name in told if name.startswith("on") or name == "style"]


@pytest.fixture
def visitor(app):
    """Somebody without a key."""
    return Client(app)


async def whole_portal(visitor):
    """Every page that can be reached from the first."""
    pages, waiting = {}, {"/docs"}
    while waiting:
        path = waiting.pop()
        reply = await visitor.get(path)
        assert reply.status == 200, path
        pages[path] = Page(reply)
        links = {link.partition("#")[0] for link in pages[path].links if link.startswith("/docs")}
        waiting |= links - pages.keys() - {""}
    return pages


async def test_every_link_of_every_page_leads_somewhere(visitor):
    pages = await whole_portal(visitor)
    assert len(pages) > 15
    for path, page in pages.items():
        for link in page.links:
            place, _, anchor = link.partition("#")
            if link.startswith("/docs") and anchor:
                assert anchor in pages[place].ids, (path, link)
            elif link.startswith("/") and place not in {"/metrics", "/health/ready"}:
                assert (await visitor.get(place)).status == 200, (path, link)


async def test_a_page_asks_for_nothing_from_elsewhere_and_holds_no_script(visitor):
    policy = (await visitor.get("/docs")).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for path, page in (await whole_portal(visitor)).items():
        assert page.files == {"/docs/assets/portal.css", "/docs/assets/portal.js"}, path
        assert not page.inline, path
    for name in ("portal.css", "portal.js"):
        text = (await visitor.get(f"/docs/assets/{name}")).body.decode()
        assert not re.search(r"https?://|@import|url\(", text)


async def test_every_operation_problem_and_event_has_its_place(visitor):
    ids = set().union(*(page.ids for page in (await whole_portal(visitor)).values()))
    assert {operation_id(route) for route in DOCUMENTED} <= ids
    assert {one["code"] for one in catalogue()} <= ids
    assert set(event_types()) <= ids


async def test_the_type_of_a_problem_opens_its_place(visitor):
    problem = (await visitor.get("/api/v1/patients")).json
    place, _, anchor = problem["type"].partition("#")
    assert anchor in Page(await visitor.get(place)).ids


async def test_search_knows_what_the_pages_hold(visitor):
    found = (await visitor.get("/docs/search.json")).json
    addresses = {address for _, address, _ in found}
    pages = await whole_portal(visitor)
    for address in addresses:
        place, _, anchor = address.partition("#")
        assert not anchor or anchor in pages[place].ids, address
    assert len(addresses) > len(DOCUMENTED)


@pytest.mark.parametrize("path", ["/docs/api/unheard-of", "/docs/guide/how-to/..", "/docs/assets/page.py"])
async def test_what_is_not_there_is_not_found(visitor, path):
    assert (await visitor.get(path)).status == 404
