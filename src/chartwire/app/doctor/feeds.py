"""Feeds that stand still, and what the alert rules found."""

from collections.abc import Iterable
from datetime import timedelta

from chartwire.alerts.standing import Wanted, list_alerts
from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Reached
from chartwire.app.services import operator_access
from chartwire.channels.halts import standing_of
from chartwire.channels.sources import list_sources
from chartwire.core.clock import instant
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.store.installation import INSTALLATION

_FORGOTTEN = timedelta(days=1)
_ALERTS_MAX = 20
_UNDO = {"hold": "release", "pause": "resume"}


async def halted(reached: Reached) -> Iterable[Found]:
    """Feeds that somebody held or paused more than a day ago."""
    saw = []
    for organisation in reached.organisations:
        sources = await list_sources(reached.shared.pool, organisation.id)
        async with reached.shared.pool.transaction(organisation.id) as tx:
            standings = [await standing_of(tx, organisation.id, source.id) for source in sources]
        for name, halt in ((standing.name, halt) for standing in standings for halt in standing.halts):
            if halt.window_id is None and reached.at - halt.since > _FORGOTTEN:
                facts = {"source": name, "mode": halt.mode, "actor": halt.actor, "org": str(organisation.id)}
                saw.append(found("feed_halted_long", **facts, since=instant(halt.since), undo=_UNDO[halt.mode]))
    return saw


async def alerts(reached: Reached) -> Iterable[Found]:
    """What burns, silent feeds among it, of every organisation and of the installation itself."""
    saw = []
    for org in (INSTALLATION, *(one.id for one in reached.organisations)):
        async with reached.shared.pool.transaction(org) as tx:
            burning = await list_alerts(tx, operator_access(org, "doctor"), Wanted(), _ALERTS_MAX)
        for one in burning:
            facts = {"rule": one.rule, "key": one.key, "since": instant(one.since), "org": str(org)}
            saw.append(found("alert_burns", **facts, alert=to_prefixed(PREFIXES["alert"], one.id)))
    return saw
