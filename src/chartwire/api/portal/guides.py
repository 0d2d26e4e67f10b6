"""The pages of `docs/`, rendered: how-to, reference, runbooks; in the wheel they lie in `chartwire_docs`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import mistune

_MARKUP = re.compile(r"<[^>]+>")
_NOT_WORD = re.compile(r"[^\w\- ]")
FOLDERS = {"start": "Start", "how-to": "How to", "reference": "Reference", "runbooks": "Runbooks"}
_IN_CHECKOUT = Path(__file__).parents[4] / "docs"


@dataclass(frozen=True, slots=True)
class Guide:
    """One page: where it stands, its title, its HTML."""

    folder: str
    name: str
    title: str
    html: str

    @property
    def href(self) -> str:
        """Its address."""
        return f"/docs/guide/{self.folder}/{self.name}"


class _Anchored(mistune.HTMLRenderer):
    """Headings can be linked to: by their words in small letters, joined by hyphens, as elsewhere."""

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        """A heading with its id."""
        words = _MARKUP.sub("", text).lower()
        attrs["id"] = _NOT_WORD.sub("", words).replace(" ", "-")
        return super().heading(text, level, **attrs)


@cache
def guides() -> Mapping[tuple[str, str], Guide]:
    """Every page by folder and name, in order of folders and names."""
    return {(one.folder, one.name): one for one in _all()}


def _all() -> Iterator[Guide]:
    root: Traversable = _IN_CHECKOUT if _IN_CHECKOUT.is_dir() else files("chartwire_docs")
    render = mistune.create_markdown(renderer=_Anchored(escape=True), plugins=["table", "strikethrough"])
    for folder in FOLDERS:
        place = root.joinpath(folder)
        if not place.is_dir():
            continue
        for page in sorted(place.iterdir(), key=lambda one: one.name):
            if page.name.endswith(".md"):
                text = page.read_text("utf-8")
                yield Guide(folder, page.name.removesuffix(".md"), _title(text, page.name), _linked(str(render(text))))


def _title(text: str, name: str) -> str:
    first = text.lstrip().partition("\n")[0]
    return first.removeprefix("# ").strip() if first.startswith("# ") else name.removesuffix(".md")


def _linked(html: str) -> str:
    """Links between pages lead to the rendered ones."""
    for folder in FOLDERS:
        html = html.replace(f'href="../{folder}/', f'href="/docs/guide/{folder}/')
        html = html.replace(f'href="{escape(folder)}/', f'href="/docs/guide/{folder}/')
    return html.replace('.md"', '"').replace(".md#", "#")
