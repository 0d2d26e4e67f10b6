"""Whether one can go back: the integration tests of the last release, run by its own code on the schema of this one.

    scripts/rollback_check.py [--release COMMIT] [--quick | pytest arguments ...]

The last release (scripts/RELEASES) is exported into a temporary directory, its migrations are replaced by those of
today, and its tests run there against its own source. Exit 1 when one fails: some `pre` migration of today breaks it.
Tests whose subject is the set of migrations itself are left out.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
MIGRATIONS = Path("src/chartwire/store/migrations")
QUICK = ("tests/integration/channels", "tests/integration/record", "tests/integration/store", "tests/integration/mllp")
ALL = ("tests/integration",)
SUBJECT_IS_THE_SCHEMA = ("tests/integration/store/test_migrate.py", "tests/integration/scripts")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--release", help="commit or tag to go back to (default: the last line of scripts/RELEASES)")
    parser.add_argument("--quick", action="store_true", help="a part of the tests only")
    args, more = parser.parse_known_args()
    release = args.release or last_release()
    directory = Path(tempfile.mkdtemp(prefix="chartwire-rollback-"))
    directory.chmod(0o711)
    try:
        export(release, directory)
        shutil.rmtree(directory / MIGRATIONS)
        shutil.copytree(ROOT / MIGRATIONS, directory / MIGRATIONS)
        return run_tests(directory, more or [*(QUICK if args.quick else ALL)])
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def last_release() -> str:
    lines = (ROOT / "scripts" / "RELEASES").read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line and not line.startswith("#")][-1]


def export(release: str, directory: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", "--format=tar", release], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(directory, filter="data")


def run_tests(directory: Path, words: list[str]) -> int:
    left_out = [f"--ignore={path}" for path in SUBJECT_IS_THE_SCHEMA]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not chaos and not corpus", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(directory / "src")}
    proof = "import chartwire, sys; sys.exit(not chartwire.__file__.startswith(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", proof, str(directory)], cwd=directory, env=environment, check=True)
    return subprocess.run([*command, *left_out, *words], cwd=directory, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
