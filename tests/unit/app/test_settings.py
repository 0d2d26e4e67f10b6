"""Settings: where values come from, what is refused, and that the page in docs is the table."""

from pathlib import Path

import pytest

from chartwire.app.knobs import KNOBS, ListenerSettings, Settings
from chartwire.app.settings import SettingsError, described, from_values, load, reference_page, to_values, unreadable

REPOSITORY = Path(__file__).parents[3]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "chartwire.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    config = written(tmp_path, "http_port = 8090\nmllp_port = 2600\n")
    settings = load(config, {"CHARTWIRE_HTTP_PORT": "8091"})
    assert (settings.http_port, settings.mllp_port, settings.http_host) == (8091, 2600, "127.0.0.1")


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    config = written(tmp_path, 'log_level = "warning"\n')
    assert load(None, {"CHARTWIRE_CONFIG": str(config)}).log_level == "warning"


@pytest.mark.parametrize(
    ("name", "nearest"), [("CHARTWIRE_HTP_PORT", "http_port"), ("CHARTWIRE_MLP_HOST", "mllp_host")]
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(None, {name: "1"})
    assert nearest in refused.value.message
    assert name in refused.value.message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    config = written(tmp_path, 'http_port = "many"\nlog_level = "loud"\nmllp_tls_cert = "a.pem"\nwrong = 1\n')
    with pytest.raises(SettingsError) as refused:
        load(config, {"CHARTWIRE_STOP_TIMEOUT_S": "-1"})
    told = " | ".join(refused.value.problems)
    for expected in ("http_port", "log_level", "mllp_tls_key", "wrong", "STOP_TIMEOUT_S"):
        assert expected in told


def test_a_secret_comes_from_a_file_of_its_own_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://owner:hunter2@db/chartwire\n", encoding="utf-8")
    settings = load(None, {"CHARTWIRE_DATABASE_URL_FILE": str(secret)})
    assert settings.database_url == "postgresql://owner:hunter2@db/chartwire"
    assert "hunter2" not in str(described(settings))
    assert described(settings)["database_url"] == "set"


def test_what_is_no_secret_cannot_come_from_a_file_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="http_port_file"):
        load(None, {"CHARTWIRE_HTTP_PORT_FILE": str(tmp_path / "port")})


def test_listeners_stand_in_the_file_and_their_keys_are_checked(tmp_path: Path) -> None:
    config = written(tmp_path, '[[listeners]]\nname = "north"\nport = 2601\n')
    assert load(config, {}).listeners == (ListenerSettings("north", 2601),)
    with pytest.raises(SettingsError, match="did you mean port"):
        load(written(tmp_path, '[[listeners]]\nname = "north"\nports = 2601\n'), {})
    with pytest.raises(SettingsError, match="used twice"):
        load(written(tmp_path, '[[listeners]]\nname = "plain"\nport = 2601\n'), {})


def test_files_that_settings_name_must_be_there(tmp_path: Path) -> None:
    present = written(tmp_path, "")
    settings = Settings(mllp_tls_cert=str(present), mllp_tls_key=str(tmp_path / "absent.pem"))
    (problem,) = unreadable(settings)
    assert problem.startswith("mllp_tls_key: ")


def test_settings_pass_a_pipe_unchanged(tmp_path: Path) -> None:
    config = written(tmp_path, 'stop_timeout_s = 5\n[[listeners]]\nname = "north"\nport = 2601\nhost = "::1"\n')
    settings = load(config, {"CHARTWIRE_MASTER_KEY": "ab" * 32, "CHARTWIRE_DATA_DIR": "/srv/chartwire"})
    assert from_values(to_values(settings)) == settings


def test_a_file_that_is_not_there_or_no_toml_is_named_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "absent.toml", {})
    with pytest.raises(SettingsError, match="not TOML"):
        load(written(tmp_path, "http_port ="), {})


def test_every_knob_says_what_it_means_and_its_default_is_usable() -> None:
    assert all(knob.meaning.endswith((".", "`")) for knob in KNOBS.values())
    assert from_values(to_values(Settings())) == Settings()


def test_the_reference_page_is_made_from_the_table() -> None:
    page = REPOSITORY / "docs" / "reference" / "settings.md"
    assert page.read_text(encoding="utf-8") == reference_page(), "run: python -m chartwire.app.settings > the page"
