"""The pages of the documentation are whole: links lead somewhere, settings are known, nothing is left out.

Commands and routes that they name: test_docs_name_what_exists.py.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from chartwire.api.table import ROUTES
from chartwire.app.knobs import KNOBS
from chartwire.app.settings import RESERVED
from chartwire.trust.credentials import SCOPES

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(str(page.relative_to(REPOSITORY)) for page in (REPOSITORY / "README.md", *DOCS.rglob("*.md")))

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```[^\n]*\n(.*?)^```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


def _text(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def _code(page: str) -> Iterator[str]:
    for fence, inline in _CODE.findall(_text(page)):
        yield fence or inline


@cache
def _anchors(page: Path) -> frozenset[str]:
    """What the headings of a page are linked by: words in small letters, joined by hyphens."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_and_a_heading(page: str) -> None:
    for target in _LINK.findall(_text(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        place = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert place.exists(), target
        assert not anchor or anchor in _anchors(place), target


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_in_an_environment_is_one_that_there_is(page: str) -> None:
    told = set(re.findall(r"\bCHARTWIRE_[A-Z_]+", _text(page)))
    known = {f"CHARTWIRE_{name.upper()}" for name in KNOBS} | RESERVED | {"CHARTWIRE_"}
    assert {name for name in told - known if name.removesuffix("_FILE") not in known} == set()


def test_the_map_names_every_page() -> None:
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in _LINK.findall(_text("docs/README.md"))}
    pages = {page.resolve() for page in DOCS.rglob("*.md") if page.parent.name != "decisions"}
    assert pages - linked == {(DOCS / "README.md").resolve()}


def test_the_page_about_the_api_names_every_scope() -> None:
    told = set(re.findall(r"\w+\.\w+|\*", " ".join(_code("docs/reference/rest-api.md"))))
    assert SCOPES - told == set()


def test_the_page_about_the_api_names_every_part_of_every_address() -> None:
    told = set(re.findall(r"[\w-]+", " ".join(_code("docs/reference/rest-api.md"))))
    parts = {part for route in ROUTES if route.path.startswith("/api/v1/") for part in route.path.split("/")}
    assert {part for part in parts if part and not part.startswith("{")} - told == set()
