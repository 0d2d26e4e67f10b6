"""Configuration as files, by the commands that people type, from a test organisation to a live one."""

from pathlib import Path

import pytest
from tests.conftest import Database
from tests.integration.app.shell import Shell, written

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


LAB = {"name": "lab", "authority": "NORTH", "sending": [{"field": "MSH-4", "pattern": "NORTH"}]}
CRM = {"name": "crm", "url": "http://127.0.0.1:9/hook", "event_types": ["patient.*"], "secret": "env:CRM_SECRET"}
FIELD = {"noun": "patient", "name": "pronouns", "type": "string", "label": "Pronouns"}


def test_one_file_makes_a_test_organisation_and_a_live_one_the_same_but_for_its_variables(
    shell: Shell, org: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    live = shell("org", "create", "Live clinic", "--kind", "sandbox")["org_id"]
    source = LAB | {"sending": [{"field": "MSH-4", "pattern": "${facility}"}], "timezone": "Europe/Zurich"}
    sections = {"sources": [source], "webhook_endpoints": [CRM], "custom_fields": [FIELD]}
    file = written(tmp_path / "clinic.yaml", vars={"facility": "NORTH_TEST"}, **sections)
    shell("config", "apply", file, "--org", org)
    shell("config", "apply", file, "--org", live, "--var", "facility=NORTH")
    first, second = (shell("config", "export", "--org", one) for one in (org, live))
    assert second["sources"][0]["sending"] == [{"field": "MSH-4", "pattern": "NORTH"}]
    first["sources"][0]["sending"] = second["sources"][0]["sending"]
    assert first == second


def test_what_was_exported_changes_nothing_where_it_came_from_and_holds_no_secret(
    shell: Shell, org: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    crm = CRM | {"headers": {"X-Token": "env:CRM_SECRET"}}
    sections = {"sources": [LAB], "webhook_endpoints": [crm], "custom_fields": [FIELD]}
    shell("config", "apply", written(tmp_path / "a.yaml", **sections), "--org", org)
    out = tmp_path / "out.yaml"
    counts = shell("config", "export", "--org", org, "--out", str(out))["exported"]
    assert {name: count for name, count in counts.items() if count} == dict.fromkeys(sections, 1)
    assert SECRET not in out.read_text()
    assert shell("config", "plan", str(out), "--org", org)["changes"] == []


def test_a_plan_tells_members_old_and_new_and_never_a_secret(
    shell: Shell, org: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    headers = {"headers": {"X-Token": "env:CRM_TOKEN"}}
    monkeypatch.setenv("CRM_TOKEN", "one")
    shell(
        "config", "apply", written(tmp_path / "1.yaml", sources=[LAB], webhook_endpoints=[CRM | headers]), "--org", org
    )
    monkeypatch.setenv("CRM_TOKEN", "two")
    new = LAB | {"order_key": "visit", "facility_zones": {"W": "Europe/Paris"}}
    file = written(
        tmp_path / "2.yaml", sources=[new, LAB | {"name": "ris", "sending": []}], webhook_endpoints=[CRM | headers]
    )
    planned = shell("config", "plan", file, "--org", org, code=1)
    lab, ris, crm = planned["changes"]
    assert lab["differences"] == [
        {"member": "order_key", "old": "patient", "new": "visit"},
        {"member": "facility_zones.W", "old": None, "new": "Europe/Paris"},
    ]
    assert (ris["action"], ris["name"]) == ("create", "ris")
    assert crm["differences"] == [{"member": "headers.X-Token", "old": "(secret)", "new": "(secret)"}]


def test_applying_twice_changes_nothing_more_and_what_a_file_leaves_out_is_retired(
    shell: Shell, org: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.yaml", sources=[LAB], custom_fields=[FIELD])
    assert len(shell("config", "apply", file, "--org", org)["applied"]) == 2
    assert shell("config", "apply", file, "--org", org)["applied"] == []
    fewer = written(tmp_path / "b.yaml", sources=[])
    (retired,) = shell("config", "apply", fewer, "--org", org)["applied"]
    assert (retired["section"], retired["action"], retired["name"]) == ("sources", "retire", "lab")
    assert shell("config", "plan", written(tmp_path / "c.yaml", custom_fields=[FIELD]), "--org", org)["changes"] == []
    gone = written(tmp_path / "d.yaml", custom_fields=[])
    shell("config", "apply", gone, "--org", org)
    back = shell("config", "apply", written(tmp_path / "e.yaml", custom_fields=[FIELD]), "--org", org)
    assert [one["action"] for one in back["applied"]] == ["create"]


def test_a_file_with_one_bad_object_changes_nothing_and_tells_all_places(
    shell: Shell, org: str, tmp_path: Path
) -> None:
    bad = [LAB, {"name": "x", "authority": "Y", "timezone": "Zurich"}, {"nme": "z"}]
    error = shell("config", "apply", written(tmp_path / "a.yaml", sources=bad), "--org", org, code=1)["error"]
    assert "/sources/1/timezone" in error["message"]
    assert "Europe/Zurich" in error["message"]
    assert "/sources/2/authority" in error["message"]
    assert shell("source", "list", "--org", org) == []


def test_what_is_refused_in_the_middle_leaves_nothing_behind(shell: Shell, org: str, tmp_path: Path) -> None:
    twins = [LAB, LAB | {"name": "twin"}]
    file = written(tmp_path / "a.yaml", custom_fields=[FIELD], sources=twins)
    assert shell("config", "apply", file, "--org", org, code=1)["error"]["code"] == "source_overlaps"
    assert shell("config", "export", "--org", org)["custom_fields"] == []


def test_two_sources_may_change_places_in_one_file(shell: Shell, org: str, tmp_path: Path) -> None:
    other = LAB | {"name": "other", "sending": [{"field": "MSH-4", "pattern": "SOUTH"}]}
    shell("config", "apply", written(tmp_path / "a.yaml", sources=[LAB, other]), "--org", org)
    swapped = [LAB | {"sending": other["sending"]}, other | {"sending": LAB["sending"]}]
    done = shell("config", "apply", written(tmp_path / "b.yaml", sources=swapped), "--org", org)
    assert [one["name"] for one in done["applied"]] == ["lab", "other"]


def test_an_application_is_refused_when_the_state_is_no_longer_that_of_its_plan(
    shell: Shell, org: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.yaml", sources=[LAB])
    digest = shell("config", "plan", file, "--org", org, code=1)["digest"]
    shell("config", "apply", written(tmp_path / "b.yaml", custom_fields=[FIELD]), "--org", org)
    error = shell("config", "apply", file, "--org", org, "--expect", digest, code=1)["error"]
    assert error["code"] == "config_changed"
    fresh = shell("config", "plan", file, "--org", org, code=1)["digest"]
    done = shell("config", "apply", file, "--org", org, "--expect", fresh)
    assert shell("config", "plan", file, "--org", org)["digest"] == done["digest"]


def test_a_secret_comes_by_reference_is_made_where_there_is_none_and_changes_with_its_reference(
    shell: Shell, org: str, tmp_path: Path
) -> None:
    (tmp_path / "crm.secret").write_text(SECRET + "\n")
    entry = CRM | {"secret": "file:crm.secret"}
    file = written(tmp_path / "a.yaml", webhook_endpoints=[entry, CRM | {"name": "made", "secret": "file:none"}])
    error = shell("config", "apply", file, "--org", org, code=1)["error"]
    assert "/webhook_endpoints/1/secret" in error["message"]
    unnamed = {name: value for name, value in CRM.items() if name != "secret"} | {"name": "made"}
    file = written(tmp_path / "a.yaml", webhook_endpoints=[entry, unnamed])
    told = shell("config", "apply", file, "--org", org)["secrets"]
    assert list(told) == ["webhook_endpoints/made"]
    assert told["webhook_endpoints/made"]["secret"].startswith("whsec_")
    assert shell("config", "plan", file, "--org", org)["changes"] == []
    (tmp_path / "crm.secret").write_text("whsec_" + "A" * 32)
    (changed,) = shell("config", "apply", file, "--org", org)["applied"]
    assert changed["differences"] == [{"member": "secret", "old": "(secret)", "new": "(secret)"}]
    assert shell("config", "plan", file, "--org", org)["changes"] == []
    (tmp_path / "crm.secret").unlink()
    assert shell("config", "plan", file, "--org", org)["changes"] == [], "what is not set here stays as it is"
    plain = written(tmp_path / "b.yaml", webhook_endpoints=[CRM | {"secret": SECRET}])
    refused = shell("config", "plan", plain, "--org", org, code=2)["error"]["message"]
    assert "env:NAME" in refused
    assert SECRET not in refused


def test_an_endpoint_names_the_sources_it_wants_by_name(shell: Shell, org: str, tmp_path: Path) -> None:
    unnamed = {name: value for name, value in CRM.items() if name != "secret"}
    wanted = unnamed | {"filters": {"sources": ["lab"]}, "schedule": [5, 60]}
    file = written(tmp_path / "a.yaml", sources=[LAB], webhook_endpoints=[wanted])
    shell("config", "apply", file, "--org", org)
    assert shell("config", "plan", file, "--org", org)["changes"] == []
    (exported,) = shell("config", "export", "--org", org)["webhook_endpoints"]
    assert (exported["filters"], exported["schedule"]) == ({"sources": ["lab"]}, [5, 60])
    strange = unnamed | {"filters": {"sources": ["nobody"]}}
    file = written(tmp_path / "b.yaml", sources=[LAB], webhook_endpoints=[strange])
    assert shell("config", "apply", file, "--org", org, code=1)["error"]["code"] == "config_file"


def test_applying_leaves_a_row_in_the_audit_trail(shell: Shell, org: str, tmp_path: Path, database: Database) -> None:
    import asyncio

    import asyncpg

    shell("config", "apply", written(tmp_path / "a.yaml", sources=[LAB]), "--org", org)

    async def rows() -> list[tuple[str, str, str]]:
        connection = await asyncpg.connect(database.admin_dsn)
        try:
            found = await connection.fetch("select actor, action, query_shape from audit where org_id = $1", org)
        finally:
            await connection.close()
        return [tuple(row) for row in found]

    assert asyncio.run(rows()) == [("cli:config apply", "update", "config apply sources.create=1")]


def test_how_an_organisation_is_written_to_through_fhir_is_one_mapping(shell: Shell, org: str, tmp_path: Path) -> None:
    assert shell("config", "export", "--org", org)["fhir"] == {}
    file = written(tmp_path / "a.yaml", fhir={"strict_references": True, "deletes_max": 5})
    (change,) = shell("config", "plan", file, "--org", org, code=1)["changes"]
    assert (change["section"], change["action"]) == ("fhir", "change")
    assert [one["member"] for one in change["differences"]] == ["strict_references", "deletes_max"]
    shell("config", "apply", file, "--org", org)
    assert shell("config", "export", "--org", org)["fhir"] == {"strict_references": True, "deletes_max": 5}
    shell("config", "apply", written(tmp_path / "b.yaml", fhir={}), "--org", org)
    assert shell("org", "fhir", "--org", org) == {
        "update_creates": True, "strict_references": False, "deletes_max": 1
    }  # fmt: skip
    for wrong in ({"deletes_max": 0}, {"deletes_max": "many"}, {"deletes": 1}):
        file = written(tmp_path / "c.yaml", fhir=wrong)
        assert shell("config", "plan", file, "--org", org, code=2)["error"]["code"] == "config_file"
