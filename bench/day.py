"""A simulated clinic day: how many messages end in a review or as a dead letter. No timing is quoted."""

import asyncio
from typing import Any

import uvloop

from bench.installation import Installation, counts, installation, open_messages
from bench.sender import clinic_messages, send

MESSAGES = 8_000
DAY_S = 86_400
CONNECTIONS = 16
_WAITING_TIMEOUT_S = 300


def rows(count: int = MESSAGES) -> list[dict[str, Any]]:
    """Reviews per 1,000 messages (target: less than 1) and dead letters (target: none) of one day."""
    with installation() as running:
        return [uvloop.run(_measure(running, count))]


async def _measure(running: Installation, count: int) -> dict[str, Any]:
    admin = running.admin()
    before = await counts(admin, running.org)
    day = clinic_messages(count, seed=2026, step_s=DAY_S / count, results=0)
    await send(running.mllp_port, day, connections=CONNECTIONS)
    async with asyncio.timeout(_WAITING_TIMEOUT_S):
        while await open_messages(admin, running.org):
            await asyncio.sleep(0.5)
    found = await counts(admin, running.org)
    await admin.close()
    made = {name: number - before.get(name, 0) for name, number in found.items()}
    reviews = {name.removeprefix("review "): number for name, number in made.items() if name.startswith("review")}
    return {
        "name": f"a day of {count} messages",
        "reviews_per_1000": round(sum(reviews.values()) / count * 1e3, 2),
        "target_reviews_per_1000": 1,
        "reviews": reviews,
        "dead_letters": made.get("message dead", 0),
        "held": made.get("message held", 0),
        "processed": made.get("message processed", 0),
        "versions": made["version all"],
        "events": made["event all"],
    }


if __name__ == "__main__":
    for row in rows():
        print(row)
