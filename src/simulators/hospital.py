"""A simulated hospital: one consistent, growing population, and the HL7 v2 messages that its day makes.

    for outgoing in Hospital(Profile(), seed=7, start=morning).messages(): ...

The same seed, start and mix give the same bytes for ever. Numbers (MRN, visit, filler) carry the seed: runs with
different seeds have different people. Simulated time passes `step_s` seconds a message on average.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from chartwire.core.errors import ValidationError
from chartwire.formats.hl7v2 import message
from simulators import vocabulary as words
from simulators.documents import embedded, letter, pdf
from simulators.results import NEXT_STAGE, report, value_of
from simulators.segments import (
    Booking,
    Order,
    Person,
    Profile,
    Segment,
    Visit,
    evn,
    header,
    mrg,
    pd1,
    pid,
    pv1,
    scheduling,
    segment,
    snapshots,
)

PEOPLE_MAX = 5_000
BOOKINGS_MAX = 2_000
ORDERS_MAX = 500
VISITS_MAX = 1_000
_RESULTS_MAX = 30


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the three message families, and how many results a report has (0: 1 to 30, documents among them)."""

    adt: float = 0.60
    siu: float = 0.25
    oru: float = 0.15
    results: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to send. Messages of one `order_key` (a person, through merges) must arrive in this order."""

    order_key: str
    event: str
    control_id: str
    at: datetime
    data: bytes


class Hospital:
    """The source of messages. `start` is an aware time in the clinic's zone.

    `known` people were registered before the hub was connected: any kind of message may be the first about them.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int,
        start: datetime,
        step_s: float = 12.0,
        mix: Mix | None = None,
        known: int = 50,
    ) -> None:
        self.profile = profile
        self.now = start
        self._mix = mix or Mix()
        self._step_s = step_s
        self._seed = seed
        self._rng = Random(f"{profile.facility}:{seed}")
        self._count = 0
        self._people: list[Person] = []
        self._visits: dict[str, Visit] = {}
        self._patients: dict[str, Person] = {}
        self._twice: list[tuple[Person, str]] = []
        self._bookings: list[Booking] = []
        self._orders: list[Order] = []
        for _ in range(known):
            self._person()

    def messages(self) -> Iterator[Outgoing]:
        """Messages without end, in the order in which the hospital makes them."""
        families: tuple[Callable[[], Outgoing], ...] = (self._adt, self._siu, self._oru)
        shares = (self._mix.adt, self._mix.siu, self._mix.oru)
        while True:
            self.now += timedelta(seconds=max(0.001, self._rng.expovariate(1 / self._step_s)))
            yield self._rng.choices(families, shares)[0]()

    # ADT

    def _adt(self) -> Outgoing:
        kinds: tuple[Callable[[], Outgoing], ...] = (
            self._newcomer, self._arrival, self._admission, self._update, self._demographics, self._merge,
            self._transfer, self._discharge, self._take_back,
        )  # fmt: skip
        return self._rng.choices(kinds, (23, 16, 10, 26, 10, 4, 4, 6, 1))[0]()

    def _newcomer(self) -> Outgoing:
        if len(self._people) >= PEOPLE_MAX:
            return self._arrival()
        return self._visit(self._person(), "ADT^A04", self._rng.choice("OOE"))

    def _arrival(self) -> Outgoing:
        return self._visit(self._somebody(), "ADT^A04", self._rng.choice("OOOE"))

    def _admission(self) -> Outgoing:
        """An inpatient comes; now and then announced before."""
        announced = [person for person, visit in self._open() if visit.last == "A05"]
        if announced:
            return self._move(announced[0], "ADT^A01")
        return self._visit(self._somebody(), "ADT^A05" if self._chance(0.3) else "ADT^A01", "I")

    def _visit(self, person: Person, event: str, kind: str) -> Outgoing:
        visit = Visit(self._number("V"), kind, self._place(words.ROOMS), person.clinician, self.now, event[-3:])
        if len(self._visits) >= VISITS_MAX:
            self._patients.pop(oldest := next(iter(self._visits)), None)
            del self._visits[oldest]
        self._visits[person.order_key] = visit
        self._patients[person.order_key] = person
        body = [pid(self.profile, person, account=visit.number.replace("V", "A")), pd1(self.profile, person)]
        body += [pv1(self.profile, visit), *snapshots(self.profile, person)]
        if self._chance(0.2):
            body.append(segment("ZPV", {1: "1", 2: "WALKIN", 3: ("kiosk", "front desk")}))
        return self._outgoing(person, event, body)

    def _open(self) -> list[tuple[Person, Visit]]:
        """Inpatients who are here or expected, with their visits."""
        return [
            (self._patients[key], visit) for key, visit in self._visits.items() if visit.kind == "I" and not visit.ended
        ]

    def _transfer(self) -> Outgoing:
        here = [(person, visit) for person, visit in self._open() if visit.last != "A05"]
        if not here:
            return self._admission()
        person, visit = self._rng.choice(here)
        visit.former = visit.room
        visit.room = (visit.room + self._rng.randrange(1, len(words.ROOMS))) % len(words.ROOMS)
        return self._move(person, "ADT^A02")

    def _discharge(self) -> Outgoing:
        here = [(person, visit) for person, visit in self._open() if visit.last != "A05"]
        if not here:
            return self._admission()
        person, visit = self._rng.choice(here)
        visit.ended, visit.former = self.now, None
        return self._move(person, "ADT^A03")

    def _take_back(self) -> Outgoing:
        """The last event of a stay was a mistake: A11, A12 or A13 takes it back."""
        kinds = {"A01": "ADT^A11", "A02": "ADT^A12", "A03": "ADT^A13"}
        wrong = [(self._patients[key], visit) for key, visit in self._visits.items() if visit.last in kinds]
        if not wrong:
            return self._admission()
        person, visit = self._rng.choice(wrong)
        event = kinds[visit.last]
        visit.ended = None
        visit.room, visit.former = visit.room if visit.former is None else visit.former, None
        if event == "ADT^A11":
            del self._visits[person.order_key]
        return self._move(person, event, visit)

    def _move(self, person: Person, event: str, visit: Visit | None = None) -> Outgoing:
        visit = visit or self._visits[person.order_key]
        visit.last = event[-3:]
        return self._outgoing(person, event, [pid(self.profile, person), pv1(self.profile, visit)])

    def _update(self) -> Outgoing:
        person = self._somebody()
        visit = self._visits.get(person.order_key)
        if visit is None:
            return self._demographics()
        self._change(person)
        if self._chance(0.4) and len(person.diagnoses) < len(words.DIAGNOSES):
            person.diagnoses.append(next(row for row in words.DIAGNOSES if row not in person.diagnoses))
        body = [pid(self.profile, person), pv1(self.profile, visit), *snapshots(self.profile, person)]
        return self._outgoing(person, "ADT^A08", body)

    def _demographics(self) -> Outgoing:
        person = self._somebody()
        self._change(person)
        body = [pid(self.profile, person), pd1(self.profile, person), segment("PV1", {1: "1", 2: "N"})]
        return self._outgoing(person, "ADT^A31", body)

    def _merge(self) -> Outgoing:
        """A second registration of somebody under a new number, and later the merge back into the first."""
        if self._twice and self._chance(0.6):
            person, loser = self._twice.pop(0)
            return self._outgoing(person, "ADT^A40", [pid(self.profile, person), mrg(self.profile, loser)])
        person = self._somebody()
        if any(person is other for other, _ in self._twice):
            return self._demographics()
        first, person.mrn = person.mrn, self._number("")
        twin = self._visit(person, "ADT^A04", "E")
        self._twice.append((person, person.mrn))
        person.mrn = first
        del self._visits[person.order_key]  # it belongs to the second number
        return twin

    def _change(self, person: Person) -> None:
        what = self._rng.randrange(4)
        if what == 0:
            person.phones[-1] = self._phone()
        elif what == 1:
            person.street, person.city = self._street(), self._rng.choice(words.CITIES)
        elif what == 2:
            person.insurer, person.member_id = self._rng.choice(words.INSURERS), self._number("M")
        elif len(person.allergies) < len(words.ALLERGENS):
            person.allergies.append(next(row for row in words.ALLERGENS if row not in person.allergies))

    # SIU

    def _siu(self) -> Outgoing:
        steps: tuple[Callable[[], Outgoing], ...] = (
            self._book, self._reschedule, self._modify, self._cancel, self._no_show
        )  # fmt: skip
        return self._rng.choices(steps, (50, 17, 15, 12, 6))[0]()

    def _book(self) -> Outgoing:
        # One caller in twenty is new: the booking is the first that anybody hears of the person.
        person = self._person() if self._chance(0.05) and len(self._people) < PEOPLE_MAX else self._somebody()
        number = self._number("")
        starts = self._slot(days=self._rng.randrange(1, 30))
        booking = Booking(
            person, f"P{number}", f"F{number}", starts, self._rng.choice(words.VISIT_TYPES),
            self._place(words.CLINICIANS), self._place(words.ROOMS),
        )  # fmt: skip
        if len(self._bookings) >= BOOKINGS_MAX:
            self._bookings.pop(0)
        self._bookings.append(booking)
        return self._booking(booking, "SIU^S12")

    def _reschedule(self) -> Outgoing:
        if not self._bookings:
            return self._book()
        booking = self._rng.choice(self._bookings)
        booking.starts = self._slot(days=self._rng.randrange(1, 30))
        return self._booking(booking, "SIU^S13")

    def _modify(self) -> Outgoing:
        if not self._bookings:
            return self._book()
        booking = self._rng.choice(self._bookings)
        booking.room = self._place(words.ROOMS)
        booking.status = "Booked"
        return self._booking(booking, "SIU^S14")

    def _cancel(self) -> Outgoing:
        return self._end("SIU^S15", "Cancelled", self._rng.choice(words.CANCEL_REASONS))

    def _no_show(self) -> Outgoing:
        return self._end("SIU^S26", "Noshow", None)

    def _end(self, event: str, status: str, reason: tuple[str, str] | None) -> Outgoing:
        if not self._bookings:
            return self._book()
        booking = self._bookings.pop(self._rng.randrange(len(self._bookings)))
        booking.status = status
        return self._booking(booking, event, reason)

    def _booking(self, booking: Booking, event: str, reason: tuple[str, str] | None = None) -> Outgoing:
        sch, *resources = scheduling(self.profile, booking, reason, in_aig=booking.clinician == 0)
        return self._outgoing(booking.person, event, [sch, pid(self.profile, booking.person), *resources])

    # ORU, MDM

    def _oru(self) -> Outgoing:
        if not self._mix.results and self._chance(0.08):
            person = self._somebody()
            body = [pid(self.profile, person), *letter(self.profile, person, self._number("D"), self.now)]
            return self._outgoing(person, "MDM^T02", body)
        order = self._rng.choice(self._orders) if self._orders and self._chance(0.5) else self._order()
        order.stage = NEXT_STAGE[order.stage]
        if order.stage == "P" and self._chance(0.7):
            order.stage = "F"
        data = report(self.profile, order, self.now, self._rng)
        if not self._mix.results and order.stage == "F" and self._chance(0.1):
            page = pdf([f"Laboratory report {order.filler}", order.panel[1]])
            data.append(embedded(page, (order.panel[0], f"{order.panel[1]} report", "LN"), len(data)))
        if order.stage == "C" or (order.stage == "F" and self._chance(0.9)):
            self._orders.remove(order)
        return self._outgoing(order.person, "ORU^R01", [pid(self.profile, order.person), *data])

    def _order(self) -> Order:
        person, number = self._somebody(), self._number("")
        code, name, analytes = self._rng.choice(words.PANELS)
        wanted = self._mix.results or self._rng.choice((1, 4, 5, 6, 7, 12, _RESULTS_MAX))
        pool = [*analytes, *(one for panel in words.PANELS for one in panel[2] if one not in analytes)]
        chosen = pool[:wanted]
        collected = self.now - timedelta(hours=self._rng.randrange(1, 20))
        order = Order(
            person, f"O{number}", f"L{number}", (code, name), chosen, [value_of(self._rng, one) for one in chosen],
            collected, person.clinician,
        )  # fmt: skip
        if len(self._orders) >= ORDERS_MAX:
            self._orders.pop(0)
        self._orders.append(order)
        return order

    # People and small things

    def _somebody(self) -> Person:
        return self._rng.choice(self._people) if self._people else self._person()

    def _person(self) -> Person:
        rng = self._rng
        sex = rng.choice("FM")
        mrn = self._number("")
        family, given = rng.choice(words.FAMILIES), rng.choice(words.GIVEN[sex])
        person = Person(
            order_key=f"{self.profile.facility}:{mrn}", mrn=mrn, family=family, given=given,
            middle=rng.choice(("", "", *words.GIVEN[sex][:6])), sex=sex,
            born=date(1935, 1, 2) + timedelta(days=rng.randrange(31_000)), street=self._street(),
            city=rng.choice(words.CITIES), phones=[self._phone() for _ in range(rng.choice((1, 2)))],
            email=f"{mrn.lower()}@example.org", language=rng.choice(words.LANGUAGES), race=rng.choice(words.RACES),
            ethnicity=rng.choice(words.ETHNICITIES), marital=rng.choice(words.MARITAL),
            insurer=rng.choice(words.INSURERS), member_id=self._number("M"), clinician=self._place(words.CLINICIANS),
            second_id=f"SR{mrn}" if rng.random() < 0.25 else "",
            relative=rng.choice(words.GIVEN["F"]) if rng.random() < 0.5 else "",
            allergies=list(rng.sample(words.ALLERGENS, rng.choice((0, 0, 1, 2)))),
            diagnoses=list(rng.sample(words.DIAGNOSES, rng.choice((0, 1, 2)))),
        )  # fmt: skip
        self._people.append(person)
        return person

    def _outgoing(self, person: Person, event: str, body: list[Segment]) -> Outgoing:
        self._count += 1
        control_id = f"{self._seed:04d}{self._count:09d}"
        lines = [header(self.profile, event, control_id, self.now)]
        if not event.startswith(("SIU", "ORU")):
            lines.append(evn(event[-3:], self.now))
        return Outgoing(person.order_key, event, control_id, self.now, self._written([*lines, *body]))

    def _written(self, segments: list[Segment]) -> bytes:
        """Latin-1 now and then, as real senders mix it, where the text allows; else UTF-8 (declared when not ASCII)."""
        if self._chance(0.3):
            try:
                return message(segments, charset="8859/1")
            except ValidationError:
                pass
        return message(segments)

    def _number(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._seed:04d}{self._count:06d}"

    def _phone(self) -> str:
        return f"{self._rng.choice(words.AREA_CODES)}55501{self._rng.randrange(100):02d}"

    def _street(self) -> str:
        return f"{self._rng.randrange(1, 900)} {self._rng.choice(words.STREETS)}"

    def _slot(self, *, days: int) -> datetime:
        day = (self.now + timedelta(days=days)).replace(hour=8, minute=0, second=0, microsecond=0)
        return day + timedelta(minutes=15 * self._rng.randrange(36))

    def _place(self, rows: tuple[object, ...]) -> int:
        return self._rng.randrange(len(rows))

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share
