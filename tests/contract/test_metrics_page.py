"""docs/reference/metrics.md tells every metric that the code defines."""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_the_page_is_made_from_what_the_code_defines() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "chartwire.app.metrics_reference"], capture_output=True, text=True, check=True
    )
    told = PAGE.read_text("utf-8")
    assert told == made.stdout, "run: python -m chartwire.app.metrics_reference > docs/reference/metrics.md"
