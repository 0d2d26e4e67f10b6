"""`chartwire retention hold | release | holds` on a real database, audited."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.app.cli import main
from chartwire.core.ids import to_prefixed


@pytest.fixture
def run(database: Any, org_id: UUID, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `chartwire retention ...` in a thread of its own; answers exit code and output."""
    monkeypatch.setenv("CHARTWIRE_DATABASE_APP_URL", database.app_dsn)
    monkeypatch.setenv("CHARTWIRE_DATABASE_ENGINE_URL", database.engine_dsn)

    async def command(*args: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["retention", *args, "--org", str(org_id)])
        out, err = capsys.readouterr()
        return code, out + err

    return command


async def test_a_patient_is_held_listed_and_released_and_all_of_it_is_in_the_audit(
    pool: Any, engine_pool: Any, org_id: UUID, run: Any
) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    await feed.send(hl7("ADT^A04", pid()), hl7("ADT^A08", pid()))
    patient = UUID((await feed.body("Patient"))["id"])
    shown = to_prefixed("pat", patient)
    assert await run("hold", "--patient", shown, "--reason", "4 O 11/26") == (0, "on hold: 2 bodies\n")
    [listed] = json.loads((await run("holds", "--json"))[1])
    assert (listed["on"], listed["reason"], listed["placed_by"]) == (shown, "4 O 11/26", "cli:retention")
    code, text = await run("hold", "--patient", shown, "--reason", "again")
    assert (code, "a hold is on this patient already" in text) == (1, True)
    assert (await run("release", "--patient", shown, "--reason", "settled"))[0] == 0
    assert json.loads((await run("holds", "--json"))[1]) == []
    rows = await feed.rows(
        "select actor, action, query_shape, row_count, patient_ids from audit where resource_type = 'retention' order by id"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("cli:retention", "hold", "chartwire retention hold patient", 2, [patient]),
        ("cli:retention", "release", "chartwire retention release patient", 2, [patient]),
    ]


async def test_a_message_that_is_not_there_cannot_be_held(run: Any) -> None:
    code, text = await run("hold", "--message", str(UUID(int=7)), "--reason", "4 O 11/26")
    assert (code, "no message has this id" in text) == (1, True)
