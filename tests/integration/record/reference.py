"""The record's rules told slowly: one message after the other, one element at a time (domain-rules.md 2 and 3).

Knows no lanes, locks, versions or arrays. A history ends where this says, whatever order two workers took.
"""

from dataclasses import dataclass, field

from tests.integration.feed import hl7, pid

PROVISIONAL_RANK = 1
Word = tuple[int, str]
"""(rank, time): the greater one counts. No two messages of a history have the same time."""


@dataclass(frozen=True)
class Message:
    """One message. `number` is the patient's (of a merge: the survivor's); `other` a loser, visit, booking or order."""

    event: str
    source: str
    number: str
    at: str
    alias: str = ""
    sex: str = "F"
    phone: str = ""
    work: str = ""
    marital: str = ""
    other: str = ""
    value: str = ""

    def raw(self) -> bytes:
        """The message as its sender writes it."""
        person = pid(self.number, sex=self.sex, f13=self.phone, f14=self.work, f16=self.marital)
        if self.alias:
            first = f"{self.number}^^^HOSP^MR"
            both = f"{self.alias}^^^HOSP^PI" if not self.number else f"{first}~{self.alias}^^^HOSP^PI"
            person = person.replace(first if self.number else "^^^HOSP^MR", both, 1)
        return hl7(self.event, *self._segments(person), at=self.at)

    def _segments(self, person: str) -> list[str]:
        match self.event[:3]:
            case "SIU":
                sch = f"SCH|P{self.other}^HUB|{self.other}^HOSP|||||ROUTINE|CHECKUP|30|min|^^30^{self.value}"
                return [sch, person, "RGS|1"]
            case "ORU":
                obr = f"OBR|1|PL{self.other}^HUB|{self.other}^LAB|24323-8^CMP^LN|||20260101080000" + "|" * 15
                result = f"OBX|1|NM|2345-7^Glucose^LN||{self.value}|mg/dL|||||F"
                return [person, f"ORC|RE|PL{self.other}^HUB|{self.other}^LAB", f"{obr}{self.at}|||F", result]
        if self.event == "ADT^A40":
            return [person, f"MRG|{self.other}^^^HOSP^MR"]
        if self.other:
            return [person, f"PV1|1|I|W1^101^1^HOSP||||||||||||||||{self.other}^^^HOSP^VN"]
        return [person]


@dataclass(eq=False)
class Person:
    """What is known of one patient: element -> (value, the word that counts)."""

    elements: dict[str, tuple[str | None, Word]] = field(default_factory=dict)
    absorbed: list[tuple["Person | str", str]] = field(default_factory=list)


class Reference:
    """Hears a history. `ranks` by source."""

    def __init__(self, ranks: dict[str, int]) -> None:
        self.ranks = ranks
        self.by_number: dict[str, Person] = {}
        self.moved: dict[str, Person | str] = {}
        """A number that a merge moved -> whom it named before; itself where it named nobody."""
        self.things: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {}
        """Visit, booking or order -> a number of its patient, and element -> (value, time of the word that counts)."""

    def hear(self, message: Message) -> None:
        """Apply one message."""
        numbers = [number for number in (message.number, message.alias) if number]
        person = next((self.by_number[number] for number in numbers if number in self.by_number), None)
        sets = message.event[4:] in {"A01", "A04", "A08", "A31"}
        rank = self.ranks[message.source] if sets else 0
        if person is None:
            person, rank = Person(), rank or PROVISIONAL_RANK
        elif sets and self._before_merge(person, numbers[0], message.at):
            rank = 0
        if rank:
            for number in numbers:
                self.by_number.setdefault(number, person)
            self._tell(person, message, (rank, message.at))
        if message.event == "ADT^A40":
            self._merge(person, message)
        elif message.other:
            self._tell_thing(message, next(number for number in numbers if number in self.by_number))

    def _tell_thing(self, message: Message, number: str) -> None:
        """A visit, booking or result; a cancellation is never too old."""
        _, told = self.things.setdefault(message.other, (number, {}))
        status = {"SIU^S15": "cancelled", "SIU^S26": "noshow"}.get(message.event, "")
        for element, value in (("status", status), ("value", message.value)):
            since = told.get(element, ("", ""))[1]
            if message.at >= since or (element == "status" and message.event == "SIU^S15"):
                told[element] = value, max(message.at, since)

    def told_of(self, thing: str) -> tuple[str, str]:
        """A number of its patient, and its status, else its value."""
        number, told = self.things[thing]
        return number, told["status"][0] or told["value"][0]

    def _before_merge(self, person: Person, number: str, at: str) -> bool:
        if number not in self.moved:
            return False
        direct = [when for loser, when in person.absorbed if loser == self.moved[number]]
        return at <= max(direct or [when for _, when in person.absorbed])

    def _tell(self, person: Person, message: Message, word: Word) -> None:
        told = {
            "gender": message.sex,
            f"{message.source} PID-13": message.phone,
            f"{message.source} PID-14": message.work,
            "marital": message.marital,
        }
        for element, value in told.items():
            if value and word >= person.elements.get(element, ("", (0, "")))[1]:
                person.elements[element] = (None if value == '""' else value), word

    def _merge(self, survivor: Person, message: Message) -> None:
        loser = self.by_number.get(message.other)
        if loser is survivor:
            return
        survivor.absorbed.append((loser or message.other, message.at))
        if loser is None:
            self.by_number[message.other], self.moved[message.other] = survivor, message.other
            return
        for number, person in self.by_number.items():
            if person is loser:
                self.by_number[number] = survivor
                self.moved.setdefault(number, loser)

    def told(self, number: str) -> dict[str, object]:
        """What a reader of this number's patient sees."""
        elements = {name: value for name, (value, _) in self.by_number[number].elements.items() if value}
        phones = sorted(value for name, value in elements.items() if "PID-1" in name)
        return {"gender": elements["gender"], "marital": elements.get("marital"), "phones": phones}
