"""Migrates a new embedded database and prints what chartwire.store.lint finds wrong in it; exit 1 when anything is."""

import asyncio
import sys
import tempfile
from pathlib import Path

from chartwire.app.embedded import EmbeddedPostgres
from chartwire.store.lint import problems_of
from chartwire.store.migrate import migrate


def main() -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # as root the server's user passes through
        server = EmbeddedPostgres(Path(folder) / "pg", settings={"fsync": "off"})
        try:
            server.start()
            asyncio.run(migrate(server.dsn()))
            found = asyncio.run(problems_of(server.dsn()))
        finally:
            server.remove()
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
