"""How far our Bundles agree with the corpora's expected ones: values by resource type and path. Run it, read it.

`python tests/corpus/report.py [ref] [--values Type.path]`: of every value that an expected Bundle holds at a path, how
many stand at the same path of a resource of that type in ours. An expected Bundle is another project's choice; where
it differs from the official tables, those are right.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.mapping_soundness import source

from chartwire.core.errors import ChartwireError
from chartwire.core.source import IdentifierRule
from chartwire.formats.hl7v2 import parse
from chartwire.mapping import event_of, load_maps, to_bundle

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
IGNORED = {"id", "reference", "fullUrl", "meta", "text.div", "text.status"}
ANY = (IdentifierRule("*", "MR"), IdentifierRule("*", "PI"), IdentifierRule("*", "*"))


def values(resource: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(resource, dict):
        for name, item in resource.items():
            if name not in IGNORED and not (name == "text" and isinstance(item, dict) and "div" in item):
                yield from values(item, f"{path}.{name}")
    elif isinstance(resource, list):
        for item in resource:
            yield from values(item, path)
    else:
        yield path, str(resource).lower()


def by_path(bundle: dict[str, Any]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in bundle.get("entry", []):
        resource = entry.get("resource", {})
        for path, value in values(resource):
            found[resource.get("resourceType", "?") + path][value] += 1
    return found


def main(only: str, shown: str) -> None:
    wanted: Counter[str] = Counter()
    met: Counter[str] = Counter()
    feed = source(identifiers=ANY)
    for pair in json.loads((CORPORA / "pairs.json").read_text()):
        if pair["kind"] != "hl7v2" or (only and pair["ref"] != only):
            continue
        try:
            document = parse((CORPORA / pair["input"]).read_bytes())
            if not load_maps().supports(event_of(document)):
                continue
            ours = by_path(to_bundle(load_maps().convert(document, feed, anonymous=True)))
            expected = by_path(json.loads((CORPORA / pair["expected"]).read_text()))
        except (ChartwireError, json.JSONDecodeError) as error:
            print(pair["input"], getattr(error, "code", "expected Bundle is not JSON"))
            continue
        for path, counts in expected.items():
            mine = ours.get(path, Counter())
            wanted[path] += len(counts)
            met[path] += sum(1 for value in counts if value in mine)
            if shown and path == shown:
                print(pair["input"], sorted(counts), sorted(mine))
    if not shown:
        for path, count in sorted(wanted.items(), key=lambda item: met[item[0]] - item[1]):
            print(f"{met[path]:5} of {count:5}  {path}")
        print(f"{sum(met.values())} of {sum(wanted.values())} values")


if __name__ == "__main__":
    words = sys.argv[1:]
    path = words[words.index("--values") + 1] if "--values" in words else ""
    main(words[0] if words and words[0] != "--values" else "", path)
