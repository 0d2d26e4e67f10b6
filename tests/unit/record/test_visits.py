"""The course of a visit, in whatever order its messages come, against a slow reference (domain-rules.md section 5)."""

from dataclasses import dataclass, field, replace
from importlib.resources import files
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.mapping_messages import message, segment
from tests.mapping_soundness import source

from chartwire.core.limits import EQUAL_UPDATES_MAX
from chartwire.formats.hl7v2 import parse
from chartwire.mapping import load_maps
from chartwire.record.lineage import Lineage, Stamp
from chartwire.record.visits import redrawn, retell

TABLE: dict[str, dict[str, Any]] = yaml.safe_load(files("chartwire.record").joinpath("visits.yaml").read_text("utf-8"))
CLASSES = {"I": "IMP", "O": "AMB", "P": "PRENC"}
EVENTS = ("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13")


@dataclass(frozen=True)
class Told:
    """One message: its event, the minute of its record, and what its PV1 says (`end`: the minute of PV1-45)."""

    event: str
    minute: int
    kind: str = "I"
    bed: str = ""
    end: int = 0
    disposition: str = ""

    def raw(self) -> bytes:
        at = _at(self.minute)
        pv1 = segment(
            "PV1", f1="1", f2=self.kind, f3=f"W^1^{self.bed}^HOSP" if self.bed else "", f19="V77^^^HOSP^VN",
            f36=self.disposition, f45=_at(self.end) if self.end else "",
        )  # fmt: skip
        return message(f"ADT^{self.event}", f"EVN||{at}", "PID|1||1^^^HOSP^MR||Weber^Anna", pv1,
                       control=f"M{self.minute}", sent=at)  # fmt: skip

    @property
    def said(self) -> dict[str, Any]:
        words = {"kind": CLASSES[self.kind], "bed": self.bed, "end": self.end, "disposition": self.disposition}
        if "cancels" in self.row:
            words["end"] = words["disposition"] = ""
        return {name: value for name, value in words.items() if value}

    @property
    def row(self) -> dict[str, Any]:
        return TABLE[f"ADT^{self.event}"]


def _at(minute: int) -> str:
    return f"20260301{minute // 60:02}{minute % 60:02}00-0500"


class Visit:
    """A visit as it stands, told message by message as the hub does."""

    def __init__(self) -> None:
        self.body: dict[str, Any] = {}
        self.lineage = Lineage()
        self.changed: list[str] = []

    def hear(self, told: Told, rank: int = 10, sender: str = "one") -> "Visit":
        conversion = load_maps().convert(parse(told.raw()), source())
        [mapped] = [one for one in conversion.resources if one.type == "Encounter"]
        assert conversion.recorded_at is not None
        recorded = conversion.recorded_at.isoformat()
        stamp = Stamp(sender, f"{sender}{told.minute}{told.event}", recorded, rank)
        merged = retell(self.body, Lineage.read(self.lineage.write()), mapped, stamp, f"ADT^{told.event}")
        self.body, self.lineage, self.changed = merged.body, merged.lineage, merged.changed
        return self

    def view(self) -> dict[str, Any]:
        stay = self.body.get("hospitalization", {})
        return {
            "status": self.body["status"],
            "kind": self.body["class"]["code"],
            "beds": [(_bed(item), item["status"]) for item in reversed(self.body.get("location", []))],
            "end": self.body.get("period", {}).get("end", "")[11:16],
            "disposition": stay.get("dischargeDisposition", {}).get("coding", [{}])[0].get("code", ""),
            "before": [item["status"] for item in self.body.get("statusHistory", [])],
        }


def _bed(item: dict[str, Any]) -> str:
    return str(item["location"]["display"].split()[-1])


@dataclass
class Standing:
    """A message that stands in the reference; `own`: what goes with it when it is cancelled."""

    told: Told
    new: bool
    said: dict[str, Any]
    own: set[str] = field(default_factory=set)


OWN = {"class": {"kind"}, "place": {"bed"}, "end": {"end"}, "disposition": {"disposition"}, "destination": set()}


class Reference:
    """Hears a history in the order of its times. What is cancelled is struck out, and the rest is told anew."""

    def __init__(self) -> None:
        self.told: list[Standing] = []

    def hear(self, told: Told) -> None:
        if "cancels" in told.row and self.told:
            self._strike(told)
            return
        own = {name for word in told.row.get("sets", ()) for name in OWN[word]}
        new = not self.told or bool(own and self._makes_new(told))
        own &= {*told.said, "end", "disposition"}
        self.told.append(Standing(told, new, dict(told.said), own if new else set()))

    def _makes_new(self, told: Told) -> bool:
        before, about = self.view(), told.row.get("about")
        after = before | told.said | {"status": told.row["to"].get(before["status"], before["status"])}
        return after["status"] != before["status"] or any(after[name] != before[name] for name in OWN.get(about, ()))

    def _strike(self, told: Told) -> None:
        victims = [at for at, one in enumerate(self.told) if one.new and f"ADT^{one.told.event}" in told.row["cancels"]]
        if not victims:
            return
        at = victims[-1]
        victim = self.told[at]
        gone = victim.own if at else {name for word in victim.told.row["sets"] for name in OWN[word]}
        for place, later in enumerate(self.told[at + 1 :], at + 1):
            for name in gone - later.own:
                if not any(name in between.own for between in self.told[at + 1 : place]):
                    later.said.pop(name, None)
        kept = self.told[:at] + ([] if "class" in victim.told.row["sets"] else self.told[at + 1 :])
        if at == 0:
            left = {name: value for name, value in self._words(victim).items() if name not in gone}
            kept.insert(0, Standing(told, True, told.said | left))
        self.told = kept

    def _words(self, one: Standing) -> dict[str, Any]:
        """What the first message stands for: with what later ones corrected of it."""
        words = dict(one.said)
        for place, later in enumerate(self.told[1:], 1):
            for name in later.said.keys() - later.own:
                if not any(name in other.own for other in self.told[1:place]):
                    words[name] = later.said[name]
        return words

    def view(self) -> dict[str, Any]:
        view: dict[str, Any] = {"status": "none", "kind": "", "bed": "", "end": "", "disposition": ""}
        beds: list[str] = []
        before: list[str] = []
        for one in self.told:
            status = one.told.row.get("to", {}).get(view["status"], view["status"]) if one.new else view["status"]
            if status == "told":
                status = "planned" if one.told.kind == "P" else "in-progress"
            if status != view["status"]:
                before.append(view["status"])
                if view["status"] == "finished":
                    view["end"] = view["disposition"] = ""
            view |= one.said | {"status": status}
            if one.new and "bed" in one.own and "bed" in one.said:
                beds.append(one.said["bed"])
            elif "bed" in one.said:
                beds = [*beds[:-1], one.said["bed"]]
        return view | {"beds": [bed for at, bed in enumerate(beds) if not at or beds[at - 1] != bed],
                       "before": before[1:]}  # fmt: skip

    def shown(self) -> dict[str, Any]:
        view = self.view()
        last = {"finished": "completed", "planned": "planned"}.get(view["status"], "active")
        beds = [] if view["status"] == "cancelled" else view.pop("beds")
        states = ["completed"] * (len(beds) - 1) + [last]
        del view["bed"]
        end = view["end"] and f"{view['end'] // 60:02}:{view['end'] % 60:02}"
        return view | {"beds": list(zip(beds, states, strict=False)), "end": end}


def history(chance: Random) -> list[Told]:
    """Up to a dozen messages of one visit, in the order of their times; nothing is cancelled that is not there."""
    reference, told = Reference(), []
    for minute in range(10, 10 + 10 * chance.randrange(2, 13), 10):
        event = chance.choice(EVENTS)
        row, view = TABLE[f"ADT^{event}"], reference.view()
        if "cancels" in row and not any(
            one.new and f"ADT^{one.told.event}" in row["cancels"] for one in reference.told
        ):
            event = "A08"
        ended = event == "A03" or (event == "A08" and view["status"] == "finished")
        one = Told(
            event, minute, chance.choice("IIOP" if event in {"A04", "A05", "A06", "A07"} else "II"),
            chance.choice(("", "1", "2", "3")), minute if ended and chance.random() < 0.7 else 0,
            chance.choice(("01", "02", "")) if ended else "",
        )  # fmt: skip
        told.append(one)
        reference.hear(one)
    return told


def shuffled(chance: Random, told: list[Told]) -> list[Told]:
    """Another order of arrival; a cancellation comes after what it may cancel."""
    arrived: list[Told] = []
    waiting = list(told)
    while waiting:
        ready = [
            one for one in waiting
            if not any(f"ADT^{other.event}" in one.row.get("cancels", ()) and other.minute < one.minute for other in waiting)
        ]  # fmt: skip
        arrived.append(chance.choice(ready))
        waiting.remove(arrived[-1])
    return arrived


@given(st.integers(0, 2**32))
def test_a_visit_ends_where_the_slow_reference_ends_in_whatever_order_its_messages_come(seed: int) -> None:
    chance = Random(seed)
    told, reference = history(chance), Reference()
    for one in told:
        reference.hear(one)
    for arrived in (told, shuffled(chance, told), shuffled(chance, told)):
        visit = Visit()
        for one in arrived:
            visit.hear(one)
        assert visit.view() == reference.shown(), [one.event for one in arrived]
        assert visit.hear(chance.choice(arrived)).changed == []


ADMITTED = Told("A01", 10, bed="1")
"""A visit at its beginning."""


def after(*told: Told) -> dict[str, Any]:
    visit = Visit()
    for one in told:
        visit.hear(one)
    return visit.view()


def test_a_cancelled_discharge_leaves_nothing_behind_whatever_updates_repeated_it() -> None:
    discharged = Told("A03", 30, bed="1", end=30, disposition="01")
    updates = [Told("A08", minute, bed="1", end=30, disposition="01") for minute in (35, 40, 45)]
    assert after(ADMITTED, discharged, *updates)["end"] == "00:30"
    assert after(ADMITTED, discharged, *updates, Told("A13", 50, bed="1")) == after(ADMITTED)


def test_a_cancelled_transfer_brings_back_the_former_place_after_updates_too() -> None:
    moved, updated = Told("A02", 20, bed="2"), Told("A08", 30, bed="3")
    assert after(ADMITTED, moved)["beds"] == [("1", "completed"), ("2", "active")]
    assert after(ADMITTED, moved, updated)["beds"] == [("1", "completed"), ("3", "active")]
    assert after(ADMITTED, moved, updated, Told("A12", 40, bed="1")) == after(ADMITTED)


def test_a_cancelled_admission_is_what_it_was_before_else_cancelled() -> None:
    expected, arrived = Told("A05", 5, kind="P", bed="9"), Told("A04", 5, kind="O", bed="9")
    cancelled = Told("A11", 40)
    assert after(expected, ADMITTED, Told("A02", 20, bed="2"), cancelled) == after(expected)
    assert after(arrived, ADMITTED, cancelled) == after(arrived)
    assert (after(ADMITTED, cancelled)["status"], after(ADMITTED, cancelled)["beds"]) == ("cancelled", [])


@pytest.mark.parametrize(
    ("event", "cancellation"), [("A01", "A11"), ("A02", "A12"), ("A03", "A13")], ids=["A11", "A12", "A13"]
)
def test_a_cancellation_is_never_too_old(event: str, cancellation: str) -> None:
    begun = () if event == "A01" else (ADMITTED,)
    done = Told(event, 50, bed="2" if event == "A02" else "1")
    in_time = after(*begun, done, Told(cancellation, 60, bed="1"))
    assert after(*begun, done, Told("A08", 55, bed=done.bed), Told(cancellation, 20, bed="1")) == in_time


def test_two_discharges_are_one_and_a_cancellation_takes_both_back() -> None:
    first, corrected = Told("A03", 30, end=30, disposition="01"), Told("A03", 35, end=28, disposition="02")
    assert after(ADMITTED, first, corrected)["end"] == "00:28"
    assert after(ADMITTED, first, corrected, Told("A13", 40)) == after(ADMITTED)


def test_leaving_for_a_place_ends_the_stay_and_arriving_begins_the_next() -> None:
    leaves, arrives = Told("A09", 20, bed="2"), Told("A10", 30, bed="2")
    assert after(ADMITTED, leaves)["beds"] == [("1", "completed"), ("2", "planned")]
    assert after(ADMITTED, leaves, arrives)["beds"] == [("1", "completed"), ("2", "active")]
    assert after(ADMITTED, Told("A09", 20, bed="1"))["beds"] == [("1", "completed")]
    assert after(ADMITTED, arrives)["status"] == "in-progress"


def test_a_first_word_that_is_late_in_the_course_opens_the_visit_as_it_stands() -> None:
    assert after(Told("A02", 20, bed="2"))["status"] == "in-progress"
    assert after(Told("A03", 20, end=20), ADMITTED)["status"] == "finished"
    assert after(Told("A13", 30, bed="1"))["status"] == "in-progress"
    assert after(Told("A12", 30, bed="1"))["beds"] == [("1", "active")]


def test_a_new_admission_after_a_discharge_opens_the_visit_again_without_its_end() -> None:
    view = after(ADMITTED, Told("A03", 20, end=20, disposition="01"), Told("A01", 30, bed="1"))
    assert (view["status"], view["end"], view["disposition"]) == ("in-progress", "", "")
    assert view["before"] == ["in-progress", "finished"]


def test_a_source_of_higher_rank_decides_the_course_alone() -> None:
    visit = Visit().hear(ADMITTED, rank=20, sender="two").hear(Told("A03", 30, end=30), rank=10)
    assert visit.view()["status"] == "in-progress"


def test_many_updates_that_say_the_same_keep_a_visit_small() -> None:
    visit = Visit().hear(ADMITTED)
    for minute in range(20, 120):
        visit.hear(Told("A08", minute, bed="1"))
    assert len(visit.lineage.moves) == 1 + EQUAL_UPDATES_MAX


def test_a_course_without_the_moves_of_a_message_is_drawn_as_if_it_had_never_come() -> None:
    visit, alone = Visit().hear(ADMITTED).hear(Told("A02", 20, bed="2")), Visit().hear(ADMITTED)
    body, lineage = redrawn(visit.body, replace(visit.lineage, moves=visit.lineage.moves[:1]))
    assert {name: body[name] for name in ("status", "location")} == {
        name: alone.body[name] for name in ("status", "location")
    }
    assert lineage.moves == alone.lineage.moves


def test_the_discharge_of_a_visit_whose_moves_are_not_known_can_be_cancelled_too() -> None:
    visit = Visit().hear(ADMITTED).hear(Told("A03", 20, bed="1", end=20, disposition="01"))
    visit.lineage = replace(visit.lineage, moves=())
    view = visit.hear(Told("A13", 30, bed="1")).view()
    assert (view["status"], view["end"], view["disposition"]) == ("in-progress", "", "")
