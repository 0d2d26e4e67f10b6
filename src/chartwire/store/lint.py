"""What the catalog must look like, so that no organisation ever sees another's rows: the rules and their violations.

    python -m chartwire.store.lint DSN      # or CHARTWIRE_DATABASE_URL; prints problems, exit 1 when there are any

Each rule is one query of `sql/lint/*.sql` that returns a sentence a violation. Its reasons are the probes of
tests/integration/store/test_rls_probes.py. A table is a tenant table when it has a column `org_id` and is not one of
WITHOUT_RLS.
"""

import asyncio
import os
import sys
from pathlib import Path

from chartwire.core.errors import ChartwireError
from chartwire.store.connect import RawConnection, connect
from chartwire.store.queries import load

RULES = load(Path(__file__).parent / "sql" / "lint")
# Ids, times and hashes only: read before an organisation is known. The lint holds every other table to RLS.
WITHOUT_RLS = ("credential", "route", "lane", "schedule", "chartwire_migration")
SERVING_ROLES = ("chartwire_app", "chartwire_engine")
POLICY = "(org_id = (NULLIF(current_setting('chartwire.org_id'::text, true), ''::text))::uuid)"


async def problems(connection: RawConnection) -> list[str]:
    """A sentence for each violation, by rule and name; empty for a sound catalog. Reads the schema `public`."""
    found: list[str] = []
    async with connection.transaction():
        await connection.execute("set local search_path = public")
        settings = {
            "without_rls": ",".join(WITHOUT_RLS),
            "serving": ",".join(SERVING_ROLES),
            "policy": POLICY,
        }
        for name, value in settings.items():
            await connection.execute("select set_config($1, $2, true)", f"lint.{name}", value)
        for rule in RULES:
            rows = await connection.fetch(RULES[rule])
            found += sorted(f"{rule}: {row[0]}" for row in rows)
    return found


async def problems_of(dsn: str) -> list[str]:
    """`problems` of the database at `dsn`. Raises TransientError or AuthError when it is not reachable."""
    connection = await connect(dsn)
    try:
        return await problems(connection)
    finally:
        await connection.close()


def main(arguments: list[str]) -> int:
    """0 for a sound catalog, 1 with problems printed, 2 for wrong usage or no database."""
    dsn = arguments[0] if arguments else os.environ.get("CHARTWIRE_DATABASE_URL", "")
    if len(arguments) > 1 or not dsn:
        sys.stderr.write("usage: python -m chartwire.store.lint DSN\n")
        return 2
    try:
        found = asyncio.run(problems_of(dsn))
    except ChartwireError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
