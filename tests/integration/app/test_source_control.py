"""`chartwire source hold | release | pause | resume | queue` on a real database."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.app.cli import main
from chartwire.core.ids import to_prefixed
from chartwire.store.pool import Pool


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id, name="lab").open()


@pytest.fixture
def run(database: Any, org_id: UUID, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `chartwire source ...` in a thread of its own; answers exit code and output."""
    monkeypatch.setenv("CHARTWIRE_DATABASE_APP_URL", database.app_dsn)
    monkeypatch.setenv("CHARTWIRE_DATABASE_ENGINE_URL", database.engine_dsn)

    async def command(*args: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["source", *args, "--org", str(org_id)])
        out, err = capsys.readouterr()
        return code, out + err

    return command


async def test_a_feed_is_held_looked_at_and_released_by_name(feed: Feed, run: Any) -> None:
    code, text = await run("hold", "lab", "--reason", "new analyser")
    assert (code, text.splitlines()[0]) == (0, "lab: on hold")
    assert "cli:source hold: new analyser" in text
    [message] = await feed.send(hl7("ADT^A04", pid()))
    code, text = await run("queue", "lab", "--json")
    [head] = json.loads(text)["heads"]
    assert (head["message"], head["reason"]) == (to_prefixed("msg", message), "source_on_hold")
    assert (await run("release", "lab"))[1].splitlines() == ["lab: active"]
    rows = await feed.rows("select actor, query_shape from audit order by id")
    assert (rows[0]["actor"], rows[0]["query_shape"]) == ("cli:source hold", "chartwire source hold")


async def test_a_feed_is_paused_and_resumed_and_an_unknown_one_is_told(feed: Feed, run: Any) -> None:
    assert json.loads((await run("pause", "lab", "--reason", "flood", "--json"))[1])["paused"] is True
    assert json.loads((await run("resume", "lab", "--json"))[1])["paused"] is False
    code, text = await run("hold", "ward", "--reason", "none")
    assert (code, "no source of this name" in text) == (1, True)
