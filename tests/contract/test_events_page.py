"""docs/reference/events.md tells every event type that there is, and no other."""

import re
from pathlib import Path

from chartwire.delivery.catalogue import event_types

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"


def test_the_page_tells_every_event_type_and_no_other() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+\.\w+)`", " ".join(rows))) == set(event_types())
