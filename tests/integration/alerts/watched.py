"""An organisation that is watched, for tests: rounds at any moment, channels, and what was written for them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from chartwire.alerts.observations import Look, Observation, Probe, Seen
from chartwire.alerts.probes import PROBES
from chartwire.alerts.rounds import Rounds
from chartwire.alerts.rule_form import RuleForm
from chartwire.alerts.rules import effective_rules, rewrite_rule, write_rule
from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.store.pool import Pool


class Lamp:
    """A probe that a test switches: what it finds next. `fails` lets it raise."""

    def __init__(self) -> None:
        self.things: list[Observation] = []
        self.fails = False

    async def __call__(self, look: Look) -> Seen:
        if self.fails:
            await look.tx.execute("select 1 / 0")
        return Seen(self.things)

    def bad(self, key: str = "source:adt", **settings: Any) -> None:
        self.things = [Observation(key, 99.0, "silent for 14 min", bad=True, **settings)]

    def well(self, key: str = "source:adt") -> None:
        self.things = [Observation(key, 1.0, "", bad=False)]


class Watched:
    """One organisation. `look` does a round with a new evaluator each time, as after a restart."""

    def __init__(self, pool: Pool, engine_pool: Pool, org: UUID, probes: dict[str, Probe] | None = None) -> None:
        self.pool, self.engine_pool, self.org = pool, engine_pool, org
        self.probes = probes if probes is not None else dict(PROBES)
        self.access = Access(org, "key:nurse", "HOPERAT", frozenset({"*"}))

    async def look(self, at: datetime) -> None:
        await Rounds(self.pool, self.engine_pool, self.probes).round(self.org, at)

    async def channel(self, name: str) -> UUID:
        channel_id = uuid7()
        await self.execute(
            "insert into alert_channel (org_id, id, name, kind, settings, sealed) values ($1, $2, $3, 'webhook', '{}', '')",
            self.org, channel_id, name,
        )  # fmt: skip
        return channel_id

    async def rule(self, kind: str, **settings: Any) -> None:
        """Put this in the place of the kind's default, or of what was put there before."""
        form = RuleForm(name=kind, kind=kind, **settings)
        async with self.pool.transaction(self.org) as tx:
            [standing] = [one for one in await effective_rules(tx, self.org) if one.name == kind]
            if standing.id is None:
                await write_rule(tx, self.access, form)
            else:
                await rewrite_rule(tx, self.access, standing.id, form)

    async def notices(self) -> list[tuple[str, str, str]]:
        """(channel, kind, state) of every notice, in the order in which they were written."""
        rows = await self.rows(
            "select c.name, n.kind, n.state from alert_notice n"
            " join alert_channel c on c.org_id = n.org_id and c.id = n.channel_id order by n.id"
        )
        return [(row["name"], row["kind"], row["state"]) for row in rows]

    async def alerts(self) -> dict[str, tuple[str, str]]:
        """What stands in the table, by rule and key: state and summary of the newest bout."""
        rows = await self.rows("select rule, key, state, summary from alert order by id")
        return {f"{row['rule']} {row['key']}": (row["state"], row["summary"]) for row in rows}

    async def firing(self, rule: str) -> list[str]:
        """Summaries of what burns under a rule, by key."""
        rows = await self.rows("select summary from alert where rule = $1 and state = 'firing' order by key", rule)
        return [row["summary"] for row in rows]

    async def sent(self) -> None:
        """Everything that is due was told."""
        await self.execute("update alert_notice set state = 'sent', attempts = 1 where state = 'pending'")

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        async with self.pool.transaction(self.org) as tx:
            return [dict(row) for row in await tx.fetch(sql, *args)]

    async def execute(self, sql: str, *args: Any) -> None:
        async with self.pool.transaction(self.org) as tx:
            await tx.execute(sql, *args)
