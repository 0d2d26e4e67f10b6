"""Where the links of a transaction lead once it is known which resource each entry is about (R4 3.1.0.11.2)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from chartwire.api.fhir.steps import Step, at_entry
from chartwire.formats.fhir.bundles import refused
from chartwire.formats.fhir.links import find_links
from chartwire.record.fhir_matching import Condition, Matches
from chartwire.record.fhir_refusals import PreconditionError

_IN_A_SERVER = re.compile(r"(https?://.+)/[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")


class Leads:
    """The links of all steps: found once, led as often as the transaction is tried.

    A link to the full URL of another entry leads to its resource; a relative one is first taken as relative to its own
    entry's full URL. A reference by a condition (`Patient?identifier=...`) leads to the one resource that meets it,
    be it stored or in this transaction. An absolute reference to this server, below `base`, becomes relative.
    """

    def __init__(self, steps: Sequence[Step], base: str) -> None:
        """Find the links. Raises ApiError where two entries have one full URL."""
        self._steps, self._base = steps, f"{base}/"
        urls: dict[str, Step] = {}
        for step in steps:
            if step.entry.full_url and urls.setdefault(step.entry.full_url, step) is not step:
                at_entry(step.entry, refused(f"{step.entry.place}.fullUrl", "is that of another entry, too"))
        for step in steps:
            step.links = find_links(step.body, urls)

    def conditions(self) -> Iterator[Condition]:
        """Every condition of a reference."""
        return (condition.plain for _, _, condition in self._conditional())

    def lead(self, found: Matches) -> None:
        """Lead every link. Raises ApiError where not exactly one resource meets a condition."""
        standing = [step for step in self._steps if step.entry.full_url and step.asked.method != "delete"]
        targets = {step.entry.full_url: step.reference for step in standing} | self._met(found)
        for step in self._steps:
            near = _IN_A_SERVER.fullmatch(step.entry.full_url)
            lead = partial(self._led, targets, near[1] if near else None)
            for link in step.links:
                link.lead(lead)

    def _led(self, targets: Mapping[str, str], near: str | None, value: str) -> str | None:
        """Where a link leads; `near` is the server that its entry came from."""
        target = targets.get(value) or (targets.get(f"{near}/{value}") if near else None)
        return target or (value.removeprefix(self._base) if value.startswith(self._base) else None)

    def _conditional(self) -> Iterator[tuple[Step, str, Condition]]:
        for step in self._steps:
            for link in step.links:
                if (told := link.condition) is not None:
                    yield step, link.value, Condition(*told)

    def _met(self, found: Matches) -> dict[str, str]:
        """References by a condition, and the references that they become."""
        met: dict[str, str] = {}
        own: dict[Condition, set[str]] | None = None
        for step, value, condition in self._conditional():
            own = self._own() if own is None else own
            targets = {f"{condition.type}/{one}" for one in found[condition.plain]} | own.get(condition.plain, set())
            if len(targets) != 1:
                several = "several resources meet" if targets else "nothing meets"
                unmet = PreconditionError(f"{several} the condition of a reference", code="reference_unmet")
                at_entry(step.entry, unmet)
            met[value] = targets.pop()
        return met

    def _own(self) -> dict[Condition, set[str]]:
        """By the conditions that they meet, what the steps make: their own conditions, and their identifiers."""
        own: dict[Condition, set[str]] = {}
        for step in self._steps:
            if step.asked.method == "delete":
                continue
            if step.condition is not None:
                own.setdefault(step.condition, set()).add(step.reference)
            told = step.body.get("identifier")
            for one in told if isinstance(told, list) else [told]:
                if isinstance(one, dict) and "value" in one:
                    condition = Condition(step.asked.type, f"identifier={one.get('system', '')}|{one['value']}")
                    own.setdefault(condition.plain, set()).add(step.reference)
        return own
