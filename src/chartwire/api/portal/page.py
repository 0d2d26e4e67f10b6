"""The frame of every page: head, navigation, the place of the text. One stylesheet and one script, both our own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from chartwire.api.http import HTML, Answer

POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, nothing inline."""

_CACHE = b"private, max-age=60"
_CODE = re.compile(r"`([^`]+)`")
_MARK = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M2 12h5l2.4-6.5 4.4 13L16.6 12H22" fill="none" '
    'stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the navigation."""

    href: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A group of links under one title."""

    title: str
    links: Sequence[Link]


def page(title: str, text: str, navigation: Sequence[Section], here: str = "") -> Answer:
    """A whole page. `text` is HTML; `here` the address of this page, which the navigation marks."""
    sections = "".join(_section(one, here) for one in navigation)
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Chartwire</title>"
        '<link rel="stylesheet" href="/docs/assets/portal.css"><script src="/docs/assets/portal.js" defer></script>'
        '</head><body><a class="skip" href="#text">Skip to the text</a>'
        f'<header class="bar"><a class="brand" href="/docs">{_MARK}<span>Chartwire</span></a>'
        '<button class="find" type="button" data-find><span>Search the docs</span><kbd>/</kbd></button>'
        '<label class="key"><span>Key</span><input type="password" data-key placeholder="cw_…" autocomplete="off" '
        'spellcheck="false" aria-label="API key for trying requests; kept in this page only"></label>'
        '<button class="theme" type="button" data-theme-switch aria-label="Light or dark"></button></header>'
        f'<div class="frame"><nav aria-label="Documentation">{sections}</nav><main id="text">{text}</main></div>'
        '<dialog class="search" data-search><input type="search" placeholder="Operations, events, problems, guides…" '
        'aria-label="Search"><ol></ol></dialog></body></html>'
    )
    return Answer(body.encode(), 200, HTML, policy=POLICY, cache=_CACHE)


def asset(name: str) -> Answer | None:
    """A file of the portal; None for a name that is none."""
    media = _ASSETS.get(name)
    if media is None:
        return None
    text = files("chartwire.api.portal").joinpath(name).read_bytes()
    return Answer(text, 200, media, policy=POLICY, cache=_CACHE)


def told(text: str) -> str:
    """Plain text as HTML, with `code` as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


_ASSETS = {"portal.css": b"text/css; charset=utf-8", "portal.js": b"text/javascript; charset=utf-8"}


def _section(section: Section, here: str) -> str:
    links = "".join(
        f'<li><a href="{one.href}"{_CURRENT if one.href == here else ""}>{escape(one.text)}</a></li>'
        for one in section.links
    )
    return f"<h2>{escape(section.title)}</h2><ul>{links}</ul>"


_CURRENT = ' aria-current="page"'
