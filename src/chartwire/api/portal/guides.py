"""The pages of `docs/`, rendered: how-to, reference, runbooks; in the wheel they lie in `chartwire_docs`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import mistune

_OF_START = ("glossary.md",)
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
    for folder, page in _pages(root):
        text = page.read_text("utf-8")
        yield Guide(folder, page.name.removesuffix(".md"), _title(text, page.name), _linked(str(render(text))))


def _pages(root: Traversable) -> Iterator[tuple[str, Traversable]]:
    """The Markdown files with their folders; those of `docs/` itself that are for users come behind `start/`."""
    for folder in FOLDERS:
        place = root.joinpath(folder)
        listed = sorted(place.iterdir(), key=lambda one: one.name) if place.is_dir() else []
        beside = [root.joinpath(name) for name in _OF_START] if folder == "start" else []
        yield from ((folder, page) for page in [*listed, *beside] if page.is_file() and page.name.endswith(".md"))


def _title(text: str, name: str) -> str:
    first = text.lstrip().partition("\n")[0]
    return first.removeprefix("# ").strip() if first.startswith("# ") else name.removesuffix(".md")


def _linked(html: str) -> str:
    """Links between pages lead to the rendered ones."""
    moved = {f"{folder}/": f"{folder}/" for folder in FOLDERS} | {name: f"start/{name}" for name in _OF_START}
    for here, there in moved.items():
        html = html.replace(f'href="../{here}', f'href="/docs/guide/{there}')
        html = html.replace(f'href="{here}', f'href="/docs/guide/{there}')
    return html.replace('.md"', '"').replace(".md#", "#")
