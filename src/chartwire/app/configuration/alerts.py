"""Alert channels and alert rules in configuration files: members as in the API, secrets by reference."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from chartwire.alerts import channel_store
from chartwire.alerts.channel_form import ChannelForm, completed, settings_of
from chartwire.alerts.channel_store import StoredChannel
from chartwire.alerts.channels.kinds import CHANNEL_KINDS
from chartwire.alerts.rule_form import RuleForm, check_rule
from chartwire.alerts.rules import effective_rules, level_of, remove_rule, rewrite_rule, write_rule
from chartwire.app.configuration.kind import Entry, Held, Values
from chartwire.app.configuration.references import resolved, variable
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, FaultsError
from chartwire.store.pool import Connection, Pool
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

F = TypeVar("F")
_ALWAYS = frozenset({"name", "kind"})


class AlertChannelKind:
    """See kind.Kind. A secret that its kind makes is made with the channel, and told once."""

    section = "alert_channels"
    secrets = frozenset({"secrets"})
    single = False

    def __init__(self, pool: Pool, door: Outbound, sealer: Sealer) -> None:
        self._pool, self._door, self._sealer = pool, door, sealer

    def name_of(self, values: Mapping[str, Any]) -> str:
        return str(values.get("name", ""))

    async def held(self, tx: Connection, access: Access) -> list[Held]:
        return [await self._held(tx, access, one) for one in await channel_store.list_channels(tx, access)]

    def exported(self, held: Held) -> Values:
        stem = f"env:ALERT_{variable(held.name)}"
        references = {name: f"{stem}_{variable(name)}" for name in held.values["secrets"]}
        shown: Values = {"name": held.name, "kind": held.values["kind"]}
        if not held.values["enabled"]:
            shown["enabled"] = False
        return shown | {"settings": _chosen(held), "secrets": references}

    async def read(self, entry: Entry) -> Values:
        standing: Values = entry.held.values if entry.held else {"secrets": {}}
        form = _form({**entry.values, "secrets": {}}, ChannelForm)
        if entry.held and form.kind != standing["kind"]:
            rule = f"stays {standing['kind']}: a channel of another kind has another name"
            raise FaultsError(rule, code="config_file", faults=[("/kind", "kind", rule)])
        references = _form(entry.values.get("secrets", {}), dict[str, str])
        given = {name: resolved(f"/secrets/{name}", reference, standing["secrets"].get(name), entry.resolve)
                 for name, reference in references.items()}  # fmt: skip
        form = msgspec.structs.replace(form, secrets={**standing["secrets"], **given})
        await channel_store.judge(self._pool, entry.access, self._door, completed(form)[0])
        return _channel_values(form)

    async def create(self, tx: Connection, access: Access, values: Values) -> dict[str, str]:
        form, made = completed(_form(values, ChannelForm))
        await channel_store.register(tx, access, self._sealer, form)
        return made

    async def change(self, tx: Connection, access: Access, held: Held, values: Values) -> None:
        form = _form(values, ChannelForm)
        await channel_store.rewrite(tx, access, self._sealer, held.ref.id, form, version=held.ref.version)

    async def retire(self, tx: Connection, access: Access, held: Held) -> None:
        await channel_store.remove(tx, access, held.ref.id, judge="later")

    async def finish(self, tx: Connection, access: Access) -> None:
        """Whether a rule names a channel that went shows when the rules are written too."""
        there = {one.name for one in await channel_store.list_channels(tx, access)}
        for rule in await effective_rules(tx, access.org):
            if gone := rule.form.named - there:
                told = f"the alert rule {rule.name} names a channel that the file takes away: {', '.join(sorted(gone))}"
                raise ConflictError(told, code="channel_in_use")

    async def _held(self, tx: Connection, access: Access, stored: StoredChannel) -> Held:
        secrets = await channel_store.secrets_of(tx, access, self._sealer, stored.id)
        form = ChannelForm(
            name=stored.name, kind=stored.kind, enabled=stored.enabled, settings=stored.settings, secrets=secrets
        )
        return Held(stored.name, _channel_values(form), stored)


class AlertRuleKind:
    """See kind.Kind. A default that nobody has changed stands in no file."""

    section = "alert_rules"
    secrets: frozenset[str] = frozenset()
    single = False

    def name_of(self, values: Mapping[str, Any]) -> str:
        return str(values.get("name", ""))

    async def held(self, tx: Connection, access: Access) -> list[Held]:
        rules = await effective_rules(tx, access.org)
        return [Held(rule.name, msgspec.to_builtins(rule.form), rule) for rule in rules if rule.id is not None]

    def exported(self, held: Held) -> Values:
        least = msgspec.to_builtins(RuleForm(name="", kind=""))
        return {name: value for name, value in held.values.items() if name in _ALWAYS or value != least[name]}

    async def read(self, entry: Entry) -> Values:
        form = _form(entry.values, RuleForm)
        check_rule(form, of=level_of(entry.access.org), channels=form.named)  # the file may make them
        values: Values = msgspec.to_builtins(form)
        return values

    async def create(self, tx: Connection, access: Access, values: Values) -> dict[str, str]:
        await write_rule(tx, access, _form(values, RuleForm))
        return {}

    async def change(self, tx: Connection, access: Access, held: Held, values: Values) -> None:
        await rewrite_rule(tx, access, held.ref.id, _form(values, RuleForm), version=held.ref.version)

    async def retire(self, tx: Connection, access: Access, held: Held) -> None:
        await remove_rule(tx, access, held.ref.id, version=held.ref.version)

    async def finish(self, tx: Connection, access: Access) -> None:
        """Each rule stands for itself."""


def _chosen(held: Held) -> Values:
    """The settings that are not as its kind has them anyway."""
    least = {one.name: one.default for one in msgspec.structs.fields(CHANNEL_KINDS[held.ref.kind].settings)}
    return {name: value for name, value in held.values["settings"].items() if value != least[name]}


def _form(values: Any, shape: type[F]) -> F:
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$")
        pointer = place.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise FaultsError(rule, code="config_file", faults=[(pointer, "invalid_value", rule)]) from None


def _channel_values(form: ChannelForm) -> Values:
    values: Values = msgspec.to_builtins(form)
    return values | {"settings": msgspec.to_builtins(settings_of(form))}
