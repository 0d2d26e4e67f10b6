"""One run: senders at work while faults happen, then the invariants, then one page of results on standard output."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from time import perf_counter

from tests.chaos.callers import Caller
from tests.chaos.fhir_callers import FhirCaller, Ledger, at_work
from tests.chaos.hub import LONG, Hub
from tests.chaos.invariants import judge
from tests.chaos.population import Population
from tests.chaos.senders import Sender, Sent
from tests.chaos.verdict import Verdict


def times(short: int, long: int) -> int:
    """How often to do something: few times in `make test`, many in `make chaos`."""
    return long if LONG else short


def limit_s(short: int) -> int:
    """The time limit of a scenario; none in `make chaos`."""
    return 0 if LONG else short


class Run:
    """Senders, faults and figures of one scenario. Every random choice comes from `seed`."""

    def __init__(self, name: str, hub: Hub, seed: int) -> None:
        self.name = name
        self.hub = hub
        self.seed = seed
        self.random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.recoveries_s: list[float] = []
        self.senders: list[Sender] = []
        self.callers: list[Caller] = []
        self.fhir_callers: list[FhirCaller] = []
        self.ledger = Ledger()
        self.extra: list[Sent] = []
        self.dead: set[str] = set()
        self._populations: list[Population] = []
        self._began = perf_counter()
        hub.server.recoveries_s.clear()

    def add_senders(self, *windows: int, pause_s: float = 0.02) -> None:
        """One sender for each window size, each with patients of its own."""
        for window in windows:
            seed = self.random.getrandbits(24)
            population = Population(seed)
            self._populations.append(population)
            self.senders.append(Sender(self.hub.mllp_port, population.script(), seed, window=window, pause_s=pause_s))

    def add_caller(self) -> None:
        """One caller of the API."""
        self.callers.append(Caller(self.hub.http_port, self.hub.api_key))

    def add_fhir_callers(self, count: int, *, large: int = 0) -> None:
        """FHIR clients, the first of which sends transactions of `large` entries too."""
        for number in range(count):
            told = (f"c{number}", self.hub.http_port, self.hub.api_key, self.random.getrandbits(24), self.ledger)
            self.fhir_callers.append(FhirCaller(*told, large=0 if number else large))

    @contextlib.asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Senders send and callers call inside the block; at its end they finish what they began. The fault of one of
        them ends the block."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for one in (*self.senders, *self.callers, *self.fhir_callers):
                group.create_task(one.run(stop))
            try:
                yield
            finally:
                stop.set()

    async def acked(self, count: int, within_s: float = 60.0) -> None:
        """Wait until so many messages more are answered: the time in which a hub recovers from a fault."""
        began, goal = perf_counter(), self.answered + count
        async with asyncio.timeout(within_s):
            while self.answered < goal:
                await asyncio.sleep(0.01)
        self.recoveries_s.append(perf_counter() - began)

    async def written(self, count: int, within_s: float = 60.0) -> None:
        """Wait until FHIR clients have finished so many writes more."""
        began, goal = perf_counter(), at_work(self.fhir_callers) + count
        async with asyncio.timeout(within_s):
            while at_work(self.fhir_callers) < goal:
                await asyncio.sleep(0.01)
        self.recoveries_s.append(perf_counter() - began)

    @property
    def answered(self) -> int:
        """Messages that have been answered."""
        return sum(1 for sender in self.senders for sent in sender.log if sent.acks)

    async def end(self) -> Verdict:
        """Judge and print the page. Raises AssertionError that names every broken promise."""
        sent = [one for sender in self.senders for one in sender.log] + self.extra
        families = [family for population in self._populations for family in population.families]
        callers = [*self.callers, *self.fhir_callers]
        verdict = await judge(
            self.hub,
            sent,
            families,
            callers,
            ledger=self.ledger if self.fhir_callers else None,
            dead=frozenset(self.dead),
        )
        print(self._page(verdict, len(sent)))
        assert not verdict.broken, "\n".join([f"seed {self.seed}", *verdict.broken])
        return verdict

    def _page(self, verdict: Verdict, sent: int) -> str:
        worst = max((sender.longest_wait_s for sender in self.senders), default=0.0)
        recoveries = sorted(self.hub.server.recoveries_s)
        lines = {
            "seed": self.seed,
            "duration": f"{perf_counter() - self._began:.0f} s",
            "faults": ", ".join(f"{count} x {what}" for what, count in sorted(self.faults.items())) or "none",
            "messages": f"{sent} sent, {verdict.figures['acked']} acked, {verdict.figures['lost']} lost",
            "resends": f"{verdict.figures['resent_on_purpose']} on purpose,"
            f" {verdict.figures['resent_after_a_break']} after {sum(sender.breaks for sender in self.senders)} breaks",
            "record": f"{verdict.figures['patients']} patients, {verdict.figures['versions']} versions,"
            f" {verdict.figures['dead']} dead letters, {verdict.figures['inversions']} inversions",
            "webhooks": f"{verdict.figures['events']} events, {verdict.figures['requests']} requests,"
            f" {verdict.figures['repeated']} repeated",
            "API": f"{verdict.figures['calls']} answers, {verdict.figures['unaudited']} without their audit row",
            "FHIR": f"{verdict.figures.get('fhir', 0)} resources, {at_work(self.fhir_callers)} writes"
            f" in {sum(caller.breaks for caller in self.fhir_callers)} breaks",
            "longest wait for an answer": f"{worst:.1f} s",
            "worst database recovery": f"{recoveries[-1]:.1f} s" if recoveries else "-",
            "quiet after the last fault": f"{verdict.figures['quiet_after_s']} s{verdict.figures['waited_for']}",
            "invariants": "all hold" if not verdict.broken else f"{len(verdict.broken)} BROKEN",
        }
        head = f"\n== chaos: {self.name} "
        return head.ljust(100, "=") + "".join(f"\n{what:>28}  {told}" for what, told in lines.items()) + "\n"
