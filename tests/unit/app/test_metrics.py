"""Metrics: several processes in one exposition, and files of the dead left out."""

import json
import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from chartwire.app.metrics import exposition
from chartwire.app.snapshots import read_snapshots, snapshot, write_snapshot
from chartwire.core.telemetry import Counter, Gauge, Histogram

_counter = Counter("chartwire_test_things_total", "Things.", ("kind",))
_gauge = Gauge("chartwire_test_level", "Level.")
_histogram = Histogram("chartwire_test_seconds", "Seconds.", bounds=(0.1, 1.0))


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_values_of_two_processes_stand_side_by_side_under_their_names() -> None:
    _counter.values.clear()
    _counter.add(2, "good")
    first = snapshot()
    _counter.add(5, "good")
    found = samples(exposition([("worker-0", first), ("worker-1", snapshot())], []))
    assert found["chartwire_test_things_total", (("kind", "good"), ("process", "worker-0"))] == 2
    assert found["chartwire_test_things_total", (("kind", "good"), ("process", "worker-1"))] == 7


def test_a_histogram_is_cumulative_and_carries_its_sum() -> None:
    _histogram.values.clear()
    for seconds in (0.05, 0.5, 0.6, 20.0):
        _histogram.observe(seconds)
    found = samples(exposition([("api-0", snapshot())], []))
    buckets = {
        dict(labels)["le"]: value for (name, labels), value in found.items() if name == "chartwire_test_seconds_bucket"
    }
    assert buckets == {"0.1": 1, "1.0": 3, "+Inf": 4}
    assert abs(found["chartwire_test_seconds_sum", (("process", "api-0"),)] - 21.15) < 1e-9


def test_gauges_of_the_database_carry_no_process() -> None:
    found = samples(exposition([], [("chartwire_lanes_ready", "Ready.", {"kind": "intake"}, 4.0)]))
    assert found == {("chartwire_lanes_ready", (("kind", "intake"),)): 4.0}


def test_a_dead_process_s_file_is_left_out_and_removed(tmp_path: Path) -> None:
    _gauge.set(1.0)
    write_snapshot(tmp_path, "worker-0")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = tmp_path / "worker-9.metrics.json"
    path.write_text(json.dumps({"pid": dead.pid, "process": "worker-9", "metrics": snapshot()}), encoding="utf-8")
    assert [process for process, _ in read_snapshots(tmp_path, "api-0")] == ["worker-0"]
    assert not path.exists()
    assert json.loads((tmp_path / "worker-0.metrics.json").read_text(encoding="utf-8"))["pid"] == os.getpid()


def test_the_reader_s_own_file_is_not_counted_twice(tmp_path: Path) -> None:
    write_snapshot(tmp_path, "api-0")
    assert list(read_snapshots(tmp_path, "api-0")) == []


def test_a_file_that_is_damaged_does_not_hide_the_others(tmp_path: Path) -> None:
    write_snapshot(tmp_path, "worker-0")
    (tmp_path / "worker-1.metrics.json").write_text("{", encoding="utf-8")
    assert [process for process, _ in read_snapshots(tmp_path, "api-0")] == ["worker-0"]
