"""Counters and histograms without a library: plain dicts, one writer thread, read by app/metrics.py for export.

Names and labels follow Prometheus. No label value may come from a message's content.
"""

from bisect import bisect_left
from collections.abc import Iterator

LabelValues = tuple[str, ...]
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Counter:
    """A number that only rises, by label values."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        self.values: dict[LabelValues, float] = {}
        REGISTRY.append(self)

    def add(self, amount: float = 1, *label_values: str) -> None:
        """Add `amount`; `label_values` in the order of `labels`."""
        self.values[label_values] = self.values.get(label_values, 0) + amount


class Gauge:
    """A number that goes up and down, by label values."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        self.values: dict[LabelValues, float] = {}
        REGISTRY.append(self)

    def set(self, value: float, *label_values: str) -> None:
        """Set the present value; `label_values` in the order of `labels`."""
        self.values[label_values] = value


class Histogram:
    """Counts by upper bound (seconds unless the name says otherwise), with sum, by label values."""

    def __init__(
        self, name: str, help_text: str, labels: tuple[str, ...] = (), bounds: tuple[float, ...] = LATENCY_BUCKETS_S
    ) -> None:
        self.name, self.help_text, self.labels, self.bounds = name, help_text, labels, bounds
        self.values: dict[LabelValues, list[float]] = {}
        REGISTRY.append(self)

    def observe(self, value: float, *label_values: str) -> None:
        """Count one observation. Each list is [count per bound..., count above all, sum]."""
        row = self.values.get(label_values)
        if row is None:
            row = self.values[label_values] = [0.0] * (len(self.bounds) + 2)
        row[bisect_left(self.bounds, value)] += 1
        row[-1] += value


REGISTRY: list[Counter | Gauge | Histogram] = []


def metrics() -> Iterator[Counter | Gauge | Histogram]:
    """Every metric of this process, in order of definition."""
    return iter(REGISTRY)
