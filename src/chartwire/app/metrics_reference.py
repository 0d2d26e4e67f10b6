"""`python -m chartwire.app.metrics_reference`: docs/reference/metrics.md, made from what the code defines."""

import importlib
import pkgutil

import chartwire
from chartwire.app.metrics import DATABASE_GAUGES
from chartwire.core import telemetry

_HEAD = """# Metrics

Made from the code by `python -m chartwire.app.metrics_reference`; do not edit.

`GET /metrics` of any API process answers in the text format of Prometheus for all processes of the machine; each value
names its `process`, those of the database none. Nothing is about a patient: no label holds a value of a message. What
should wake somebody is watched without Prometheus too: [be told](../how-to/alerts.md). These four say most:

- `chartwire_oldest_unprocessed_seconds`: how far the record is behind the feeds
- `chartwire_deliveries_open`: what receivers have not had yet
- `chartwire_mllp_ack_seconds`: how long senders wait for their answer
- `chartwire_alerts_firing`: what is not well, by severity

A histogram has `_bucket`, `_sum` and `_count`; a counter begins at zero when its process starts.

| metric | kind | labels | what it counts |
|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    for module in pkgutil.walk_packages(chartwire.__path__, "chartwire."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    rows = {
        metric.name: _row(metric.name, type(metric).__name__.lower(), metric.labels, metric.help_text)
        for metric in telemetry.metrics()
    }
    for name, (meaning, labels) in DATABASE_GAUGES.items():
        rows[name] = _row(name, "gauge of the database", labels, meaning)
    return _HEAD + "".join(rows[name] for name in sorted(rows))


def _row(name: str, kind: str, labels: tuple[str, ...], meaning: str) -> str:
    return f"| `{name}` | {kind} | {', '.join(labels)} | {meaning.removesuffix('.')} |\n"


if __name__ == "__main__":
    print(page(), end="")
