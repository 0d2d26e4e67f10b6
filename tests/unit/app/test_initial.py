"""What `chartwire init` makes of its answers, before anything is made."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.e2e.authority import Authority

from chartwire.app.initial import config_file, deployment
from chartwire.app.initial.plan import make_plan
from chartwire.app.initial.questions import ALL, SETTINGS, answered
from chartwire.app.knobs import KNOBS, Settings
from chartwire.app.settings import SettingsError, load
from chartwire.core.errors import ConflictError

REPOSITORY = Path(__file__).parents[3]
SAFE = {"public_url": "https://hub.example.org", "trusted_proxy": ["10.0.0.0/8"], "backup_dir": "/mnt/backup"}


def plan(home, **said):
    return make_plan(said, home / "data", None, datetime.now(UTC))


def test_every_question_leads_to_a_setting_that_exists():
    for question in SETTINGS:
        assert question.key in KNOBS or (question.key.endswith("_file") and KNOBS[question.key[:-5]].secret)


def test_the_settings_file_says_what_was_said_and_is_read_back_as_such(tmp_path):
    key = tmp_path / "key"
    key.write_text("ab" * 32, encoding="utf-8")
    made = plan(tmp_path, **SAFE, port="8443", drain_delay="5", master_key_file=str(key))
    assert made.warnings == ()
    text = config_file.render(made.values)
    (tmp_path / "chartwire.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "chartwire.toml", {}) == made.settings
    assert "ab" * 32 not in text
    assert all(line.startswith(("#", "data_dir = ", *made.values)) or not line for line in text.splitlines())
    assert set(made.values) == {
        "data_dir", "public_url", "trusted_proxies", "backup_dir", "http_port", "drain_delay_s", "master_key_file",
    }  # fmt: skip


def test_a_person_is_asked_only_what_was_not_said():
    asked = []

    def ask(sentence):
        asked.append(sentence)
        return "10.0.0.1, 10.0.0.2" if "proxies" in sentence else ""

    given = dict.fromkeys(question.name for question in ALL) | {"public_url": "https://hub.example.org"}
    said = answered(given, ask)
    assert not any("Where will clients" in sentence for sentence in asked)
    assert said["trusted_proxy"] == ["10.0.0.1", "10.0.0.2"]
    assert said["http_host"] is None
    assert not any("key of that certificate" in sentence for sentence in asked)
    assert answered(given, None) == given


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"http_host": "0.0.0.0"}, "in the clear"),
        ({"public_url": "hub.example.org"}, "public_url: must be as https://"),
        ({"public_url": "https://hub.example.org/base"}, "public_url"),
        ({"trusted_proxy": ["10.0.0.1/8"]}, "trusted_proxies: 10.0.0.1/8"),
        ({"port": "http"}, "http_port: must be a whole number"),
        ({"http_tls_cert": "hub.pem"}, "http_tls_cert and http_tls_key: set both"),
        ({"source": "adt"}, "--source: needs --organisation and --authority"),
    ],
)
def test_what_could_not_be_used_is_refused_with_the_reason(tmp_path, said, told):
    with pytest.raises(SettingsError) as refused:
        plan(tmp_path, **said)
    assert told in refused.value.message
    assert not (tmp_path / "data").exists()


def test_certificates_are_examined_for_the_public_name(tmp_path):
    authority = Authority(tmp_path)
    stem, other = authority.issue("hub.example.org"), authority.issue("other.example.org")
    certificate = Path(f"{stem}.pem")
    certificate.write_bytes(certificate.read_bytes() + authority.path.read_bytes())
    files = {"http_tls_cert": str(certificate), "http_tls_key": f"{stem}.key"}
    assert plan(tmp_path, **SAFE, **files).settings.http_tls_cert == str(certificate)
    with pytest.raises(SettingsError, match=r"is not for elsewhere\.example\.org"):
        plan(tmp_path, **SAFE | {"public_url": "https://elsewhere.example.org"}, **files)
    with pytest.raises(SettingsError, match="is not the key of the first certificate"):
        plan(tmp_path, **SAFE, **files | {"http_tls_key": f"{other}.key"})


def test_a_file_that_is_there_counts_and_is_neither_overwritten_nor_contradicted(tmp_path):
    first = plan(tmp_path, **SAFE)
    first.config.parent.mkdir()
    first.config.write_text(config_file.render(first.values) + "\nlog_level = 'debug'\n", encoding="utf-8")
    assert plan(tmp_path).settings.log_level == "debug"
    assert plan(tmp_path, **SAFE).settings == plan(tmp_path).settings
    with pytest.raises(ConflictError, match="says otherwise about public_url"):
        plan(tmp_path, public_url="https://other.example.org")


def test_a_sandbox_is_not_made_into_an_installation(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sandbox.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConflictError, match="holds a sandbox"):
        plan(tmp_path)


def test_a_unit_may_write_where_data_and_backups_lie_and_has_no_right_that_it_does_not_need():
    settings = Settings(data_dir=Path("/srv/chart wire"), backup_dir="/mnt/100%")
    unit = deployment.render(settings, Path("/etc/c.toml"), user="hub", executable="/opt/chartwire")[
        "chartwire.service"
    ]
    assert 'ReadWritePaths="/srv/chart wire" /mnt/100%%' in unit
    assert "\nCapabilityBoundingSet=\n" in unit
    assert "ExecStart=/opt/chartwire up --config /etc/c.toml\nUser=hub\n" in unit
    privileged = deployment.render(Settings(http_port=443), Path("/etc/c.toml"))["chartwire.service"]
    assert "\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n" in privileged


def test_the_service_manager_waits_longer_than_the_slowest_orderly_end():
    settings = Settings(drain_delay_s=20, stop_timeout_s=60)
    files = deployment.render(settings, Path("/etc/c.toml"))
    assert "\nTimeoutStopSec=470\n" in files["chartwire.service"]
    assert "\nTimeoutStopSec=90\n" in files["chartwire@.service"]


def test_the_files_in_deploy_are_those_that_init_writes():
    there = {path.name: path.read_text(encoding="utf-8") for path in (REPOSITORY / "deploy").iterdir()}
    assert there == deployment.usual()


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    checker = shutil.which("systemd-analyze")
    files = deployment.render(Settings(data_dir=tmp_path), tmp_path / "c.toml", user="root", executable="/bin/true")
    for name in deployment.UNITS:
        (tmp_path / name).write_text(files[name], encoding="utf-8")
    if checker:
        done = subprocess.run(
            check=False,
            args=[checker, "verify", *(str(tmp_path / name) for name in deployment.UNITS)],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
