"""The steps of `chartwire init`: each makes its thing when it is not there, and leaves alone what is."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chartwire.app.database import hold_data_dir, prepare_database, start_database
from chartwire.app.initial import config_file, deployment
from chartwire.app.initial.beginning import OWNER, Begun, begin
from chartwire.app.initial.plan import Plan
from chartwire.app.knobs import Settings
from chartwire.app.sandbox_file import write_private
from chartwire.app.services import DatabaseAddress, master_key, services

DEPLOYMENT = "deploy"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing of an installation: `made` now, or there already. `value` says where it is, or what."""

    what: str
    value: str
    made: bool


def carry_out(plan: Plan, tell: Callable[[str], None]) -> Iterator[Step]:
    """Make the installation, step by step; what broke off is continued by the next call.

    Raises ConflictError while `chartwire up` runs there, OSError where a file cannot be written, and what the database
    raises.
    """
    home = plan.settings.data_dir
    new_home = not home.exists()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = hold_data_dir(home)
    try:
        yield Step("data directory", str(home), new_home)
        yield _master_key(plan)
        yield _config(plan)
        yield from _deployment_files(plan)
        if plan.organisation:
            yield from _begun(_with_database(plan, tell), plan)
    finally:
        os.close(lock)


def _master_key(plan: Plan) -> Step:
    if plan.settings.master_key:
        return Step("master key", "as the settings say", made=False)
    path = plan.settings.data_dir / "master.key"
    new = not path.exists()
    master_key(plan.settings)
    return Step("master key", str(path), new)


def _config(plan: Plan) -> Step:
    new = not plan.config.exists()
    if new:
        plan.config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(plan.config, config_file.render(plan.values))
    return Step("settings", str(plan.config), new)


def _deployment_files(plan: Plan) -> Iterator[Step]:
    """Files that are there stay: an operator may have changed them."""
    folder = plan.settings.data_dir / DEPLOYMENT
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in deployment.render(plan.settings, plan.config).items():
        path = folder / name
        new = not path.exists()
        if new:
            path.write_text(text, encoding="utf-8")
        yield Step(name, str(path), new)


def _with_database(plan: Plan, tell: Callable[[str], None]) -> Begun:
    address, postgres = start_database(plan.settings, tell)
    try:
        return asyncio.run(_begin(plan, address, embedded=postgres is not None, tell=tell))
    finally:
        if postgres is not None:
            tell("stopping PostgreSQL")
            postgres.stop()


async def _begin(plan: Plan, address: DatabaseAddress, *, embedded: bool, tell: Callable[[str], None]) -> Begun:
    await prepare_database(plan.settings, address, embedded=embedded, tell=tell)
    async with services(_reached_at(plan.settings, address), size=2) as shared:
        return await begin(shared, plan)


def _reached_at(settings: Settings, address: DatabaseAddress) -> Settings:
    return replace(settings, database_app_url=address.app, database_engine_url=address.engine)


def _begun(begun: Begun, plan: Plan) -> Iterator[Step]:
    yield Step("organisation", begun.org_id, begun.organisation_made)
    yield Step("owner key", begun.key or f"named `{OWNER}`; `chartwire key create` makes another", bool(begun.key))
    if plan.source is not None:
        yield Step("source", begun.source_id, begun.source_made)
