"""record/merge.py, `overwrite`: an actor's word among those of feeds, against a reference that keeps every word."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chartwire.core.ids import source_key_id
from chartwire.mapping.conversion import Mapped
from chartwire.record.lineage import Lineage, Stamp
from chartwire.record.merge import merge, overwrite

FEEDS = ("feed-a", "feed-b")
KEYS = ("key:one", "key:two")


@dataclass(frozen=True)
class Feed:
    """A message: at a time of its own (times are all different), of a phone list or a gender, either may be absent."""

    source: str
    hour: int
    gender: str | None
    phones: tuple[str, ...] | None


@dataclass(frozen=True)
class Write:
    """A PATCH of what stands."""

    key: str
    gender: str | None
    phones: tuple[str, ...] | None


NUMBERS = st.lists(st.sampled_from("1234"), max_size=3, unique=True).map(tuple)
GENDERS = st.sampled_from(["male", "female", "other"])


@st.composite
def histories(draw):
    hours = draw(st.permutations(range(8)))
    words = [
        Feed(draw(st.sampled_from(FEEDS)), hour, draw(st.none() | GENDERS), draw(st.none() | NUMBERS)) for hour in hours
    ]
    for _ in range(draw(st.integers(1, 4))):
        write = Write(draw(st.sampled_from(KEYS)), draw(st.none() | GENDERS), draw(st.none() | NUMBERS))
        words.insert(draw(st.integers(0, len(words))), write)
    return words


def phones_of(numbers):
    return [{"system": "phone", "value": number} for number in numbers]


class Hub:
    """The product: bodies and lineages through `merge` and `overwrite`. A write at place n is recorded at n."""

    def __init__(self):
        self.body: dict[str, Any] = {}
        self.lineage = Lineage()

    def hear(self, word, now):
        told = {"gender": word.gender} if word.gender else {}
        clears = {}
        fields = {"gender": (("PID-8", 1),)}
        if word.phones:
            told["telecom"] = phones_of(word.phones)
            fields["telecom"] = (("PID-13", len(word.phones)),)
        elif word.phones == ():
            clears["telecom"] = "PID-13"
        mapped = Mapped("Patient", "k", source_key_id("Patient", "k"), told, fields, clears)
        stamp = Stamp(word.source, f"m{now}", f"{word.hour:04}", 10)
        merged = merge(self.body, Lineage.read(self.lineage.write()), mapped, stamp)
        self.body, self.lineage = merged.body, merged.lineage

    def write(self, word, hour):
        wanted = dict(self.body)
        if word.gender:
            wanted["gender"] = word.gender
        if word.phones is not None:
            before = wanted.pop("telecom", [])
            said_again = {one["value"] for one in before} == set(word.phones)
            if word.phones:
                wanted["telecom"] = before if said_again else phones_of(word.phones)
        stamp = Stamp(word.key, "r", f"{hour:04}", 10)
        merged = overwrite(
            self.body, Lineage.read(self.lineage.write()), "Patient", wanted, stamp, lambda path: f"/{path}"
        )
        self.body, self.lineage = merged.body, merged.lineage


class Reference:
    """Who said what, kept as sets; nothing is merged in place.

    A value belongs to the word that set it. A list is each feed's own, under the last list that an actor wrote, whose
    numbers belong to the feed that gave them and else to the actor.
    """

    def __init__(self):
        self.gender = (None, None, None)  # value, source, hour
        self.lists: dict[str, tuple[int, frozenset[str]]] = {}
        self.whole = -1
        self.written: frozenset[str] = frozenset()

    def hear(self, word):
        if word.gender:
            _, source, hour = self.gender
            if source is None or word.hour > hour or (word.gender == self.gender[0] and word.hour > hour):
                self.gender = (word.gender, word.source, word.hour)
        if word.phones is not None:
            before = self.lists.get(word.source)
            if word.hour > self.whole and (before is None or word.hour > before[0]):
                self.lists[word.source] = (word.hour, frozenset(word.phones))

    def write(self, word, hour):
        if word.gender and word.gender != self.gender[0]:
            self.gender = (word.gender, word.key, max(hour, self.gender[2] or hour))
        if word.phones is not None and set(word.phones) != self.phones():
            wanted = frozenset(word.phones)
            hour = max([hour, *(at for at, _ in self.lists.values())])
            self.lists = {source: (at, held & wanted) for source, (at, held) in self.lists.items() if held & wanted}
            given = frozenset().union(*(held for _, held in self.lists.values()))
            self.whole, self.written = max(hour, self.whole), wanted - given

    def phones(self):
        return set(self.written).union(*(held for _, held in self.lists.values()))


@given(histories(), st.lists(st.integers(0, 8), min_size=12, max_size=12))
def test_words_of_feeds_and_actors_end_where_the_slow_reference_ends(history, hours):
    hub, reference = Hub(), Reference()
    for place, word in enumerate(history):
        if isinstance(word, Feed):
            hub.hear(word, place)
            reference.hear(word)
        else:
            hour = hours[place]
            hub.write(word, hour)
            reference.write(word, hour)
        assert hub.body.get("gender") == reference.gender[0]
        assert {one["value"] for one in hub.body.get("telecom", ())} == reference.phones()
        for path, parts in hub.lineage.parts.items():
            items = hub.body.get(path)
            assert all(position < len(items) for part in parts for position in part.positions or ())


def test_what_an_actor_writes_stands_as_it_was_written() -> None:
    stamp = Stamp("key:one", "r1", "2026-01-01T00:00:00.000Z", 10)
    numbers = [{"value": "1"}, {"value": "1"}]
    first = {"identifier": numbers, "multipleBirthInteger": Decimal("72.5")}
    made = overwrite({}, Lineage(), "Patient", first, stamp, lambda path: f"/{path}")
    assert made.body == first
    again = overwrite(made.body, made.lineage, "Patient", first, stamp, lambda path: f"/{path}")
    assert again.changed == []
    literal = {**first, "multipleBirthInteger": Decimal("72.50")}
    finer = overwrite(made.body, made.lineage, "Patient", literal, stamp, lambda path: f"/{path}")
    assert (finer.changed, str(finer.body["multipleBirthInteger"])) == (["multipleBirth[x]"], "72.50")
