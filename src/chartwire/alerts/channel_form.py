"""A channel as people write it, in the API and in configuration files: members, and what is wrong with them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from chartwire.alerts.channels.kind import Fault
from chartwire.alerts.channels.kinds import CHANNEL_KINDS, ChannelKindName
from chartwire.core.errors import FaultsError

_NAME_CHARACTERS_MAX: Final = 100
_SECRET_CHARACTERS_MAX: Final = 2048
_AN_ADDRESS: Final = "is an e-mail address such as it@clinic.example, without a name"
_FORMS: Final = {"host": "is a host name or an address", "sender": _AN_ADDRESS, "recipients": _AN_ADDRESS}
"""In words, what a pattern of the settings asks for."""


class ChannelForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where notices go. Rules name a channel by its `name`. `settings` may be shown, `secrets` are kept sealed and
    never shown; which there are is told by the kind (docs/reference/alerts.md)."""

    name: str
    kind: ChannelKindName
    enabled: bool = True
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    secrets: dict[str, str] = msgspec.field(default_factory=dict)


def completed(form: ChannelForm) -> tuple[ChannelForm, dict[str, str]]:
    """The form with the secrets that its kind makes where none are given, and those that were made."""
    made = {name: secret for name, secret in CHANNEL_KINDS[form.kind].made().items() if name not in form.secrets}
    return msgspec.structs.replace(form, secrets={**made, **form.secrets}), made


def settings_of(form: ChannelForm) -> Any:
    """The settings as the kind's struct, defaults put in. Raises FaultsError (`alert_channel`)."""
    try:
        return msgspec.convert(form.settings, CHANNEL_KINDS[form.kind].settings)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$")
        pointer = place.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        told = _FORMS.get(pointer.split("/")[1], rule) if "regex" in rule else rule
        raise _wrong([(f"/settings{pointer}", "invalid_value", told)]) from None


def check_channel(form: ChannelForm) -> None:
    """Raises FaultsError (`alert_channel`) with every fault of a completed form."""
    settings = settings_of(form)
    faults = [*_faults_of_name(form.name), *_faults_of_secrets(form)]
    faults = faults or list(CHANNEL_KINDS[form.kind].faults(settings, form.secrets))
    if faults:
        raise _wrong(faults)


def check_told_again(form: ChannelForm, before: Mapping[str, Any], told: Collection[str]) -> None:
    """Who may change a channel but does not know its secrets must not learn them by sending them elsewhere.

    `before` are the settings that stand, `told` the secrets that were given anew. Raises FaultsError (`alert_channel`).
    """
    after = msgspec.to_builtins(settings_of(form))
    moved = ", ".join(sorted(name for name in CHANNEL_KINDS[form.kind].bound if after[name] != before[name]))
    kept = sorted(form.secrets.keys() - set(told))
    if moved and kept:
        raise _wrong([(f"/secrets/{name}", "secret_missing", f"is given again when {moved} changes") for name in kept])


def _faults_of_name(name: str) -> Iterator[Fault]:
    if not 0 < len(name) <= _NAME_CHARACTERS_MAX or not name.isprintable() or name != name.strip():
        yield "/name", "name", f"1 to {_NAME_CHARACTERS_MAX} printable characters, no spaces around them"


def _faults_of_secrets(form: ChannelForm) -> Iterator[Fault]:
    kind = CHANNEL_KINDS[form.kind]
    for name, secret in form.secrets.items():
        if name not in kind.secrets:
            yield "/secrets", "unknown_secret", f"a channel of this kind has {', '.join(kind.secrets)}"
        elif not 0 < len(secret) <= _SECRET_CHARACTERS_MAX or not secret.isprintable():
            yield f"/secrets/{name}", "secret", f"1 to {_SECRET_CHARACTERS_MAX} printable characters"
    for name in sorted(kind.needs - form.secrets.keys()):
        yield f"/secrets/{name}", "secret_missing", f"is needed: {kind.secrets[name]}"


def _wrong(faults: list[Fault]) -> FaultsError:
    told = "; ".join(f"`{pointer}` {rule}" for pointer, _, rule in faults)
    return FaultsError(f"not a channel that can tell anybody: {told}", code="alert_channel", faults=faults)
