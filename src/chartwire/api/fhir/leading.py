"""Where the links of a transaction lead once it is known which resource each entry is about (R4 3.1.0.11.2)."""

import re
from collections.abc import Iterator, Sequence

from chartwire.api.fhir.steps import Step, at_entry
from chartwire.core.errors import ConflictError
from chartwire.formats.fhir.bundles import refused
from chartwire.formats.fhir.links import find_links
from chartwire.record.fhir_matching import Condition, Matches

_IN_A_SERVER = re.compile(r"(https?://.+)/[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")


class Leads:
    """The links of all steps: found once, led as often as the transaction is tried.

    A link to the full URL of another entry leads to its resource; a relative one is first taken as relative to its own
    entry's full URL. A reference by a condition (`Patient?identifier=...`) leads to the one resource that meets it,
    be it stored or in this transaction.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        """Find the links. Raises ApiError where two entries have one full URL."""
        self._steps = steps
        urls: dict[str, Step] = {}
        for step in steps:
            if step.entry.full_url and urls.setdefault(step.entry.full_url, step) is not step:
                at_entry(step.entry, refused(f"{step.entry.place}.fullUrl", "is that of another entry, too"))
        for step in steps:
            if step.method in {"create", "update"}:
                step.links = find_links(step.body, urls)

    def conditions(self) -> Iterator[Condition]:
        """Every condition of a reference."""
        return (condition for _, _, condition in self._conditional())

    def lead(self, found: Matches) -> None:
        """Lead every link. Raises ApiError where not exactly one resource meets a condition."""
        targets = {step.entry.full_url: step.reference for step in self._steps if step.method != "delete"}
        targets |= self._met(found)
        for step in self._steps:
            base = _IN_A_SERVER.fullmatch(step.entry.full_url)
            beginning = f"{base[1]}/" if base else None

            def lead(value: str, beginning: str | None = beginning) -> str | None:
                near = targets.get(beginning + value) if beginning else None
                return near or targets.get(value)

            for link in step.links:
                link.lead(lead)

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
            own = own or self._own()
            targets = {f"{condition.type}/{one}" for one in found[condition]} | own.get(condition.plain, set())
            if len(targets) != 1:
                several = "several resources meet" if targets else "nothing meets"
                at_entry(step.entry, ConflictError(f"{several} the condition of a reference", code="reference_unmet"))
            met[value] = targets.pop()
        return met

    def _own(self) -> dict[Condition, set[str]]:
        """By the conditions that they meet, what the steps make: their own conditions, and their identifiers."""
        own: dict[Condition, set[str]] = {}
        for step in self._steps:
            if step.method == "delete":
                continue
            if step.condition is not None:
                own.setdefault(step.condition.plain, set()).add(step.reference)
            for one in step.body.get("identifier", ()):
                if isinstance(one, dict) and "value" in one:
                    condition = Condition(step.type, f"identifier={one.get('system', '')}|{one['value']}")
                    own.setdefault(condition.plain, set()).add(step.reference)
        return own
