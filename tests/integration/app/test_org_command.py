"""`chartwire org fhir`: what an operator says about writes through FHIR."""

import pytest
from tests.integration.app.shell import Shell


@pytest.fixture
def run(database, monkeypatch, capsys):
    monkeypatch.setenv("CHARTWIRE_DATABASE_APP_URL", database.app_dsn)
    monkeypatch.setenv("CHARTWIRE_DATABASE_ENGINE_URL", database.engine_dsn)
    return Shell(capsys)


def test_what_is_set_stays_until_it_is_set_again_and_the_rest_is_left_alone(run):
    org = run("org", "create", "Lindenhof clinic")["org_id"]
    assert run("org", "fhir", "--org", org) == {
        "update_creates": True,
        "strict_references": False,
        "deletes_max": 1,
    }
    run("org", "fhir", "--org", org, "--update-creates", "no", "--deletes-max", "5")
    run("org", "fhir", "--org", org, "--strict-references", "yes")
    assert run("org", "fhir", "--org", org) == {"update_creates": False, "strict_references": True, "deletes_max": 5}
    refused = run("org", "fhir", "--org", org, "--deletes-max", "0", code=1)
    assert refused["error"]["code"] == "bad_policy"
