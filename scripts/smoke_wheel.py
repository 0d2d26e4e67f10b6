"""Builds the wheel, installs it with its own dependencies far from this checkout, and tries it there.

What it proves: the wheel carries every data file of the source, every module imports, and `chartwire` answers.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import bootstrap

ROOT = bootstrap.ROOT
IMPORT_ALL = """
import importlib, pkgutil, sys
for root in ("chartwire", "simulators"):
    try:
        package = importlib.import_module(root)
    except ModuleNotFoundError:
        continue
    assert sys.prefix in package.__path__[0], package.__path__
    for module in pkgutil.walk_packages(package.__path__, f"{root}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def main() -> int:
    """The exit code: 0 when the wheel works, with one line that says so."""
    with tempfile.TemporaryDirectory(prefix="chartwire-wheel-") as name:
        folder = Path(name)
        wheel = build(folder)
        missing = missing_files(wheel)
        if missing:
            print("the wheel lacks " + ", ".join(missing), file=sys.stderr)
            return 1
        try_out(folder, install(folder, wheel))
        (ROOT / "dist").mkdir(exist_ok=True)
        shutil.copy(wheel, ROOT / "dist")
        print(f"wheel {wheel.name} ({wheel.stat().st_size // 1024} kB) installs and works by itself")
    return 0


def build(folder: Path) -> Path:
    """The wheel, built by the build backend of the lock."""
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)], folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def missing_files(wheel: Path) -> list[str]:
    """Files of the packages in src/ that the wheel does not carry."""
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    sources = (path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(name for path in sources if (name := path.relative_to(ROOT / "src").as_posix()) not in carried)


def install(folder: Path, wheel: Path) -> Path:
    """The bin directory of a new environment that holds the locked run-time dependencies and the wheel."""
    uv, venv = bootstrap.find_uv(), folder / "venv"
    run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], folder)
    target = ["--quiet", "--python", str(venv / "bin" / "python")]
    run([uv, "pip", "sync", *target, "--require-hashes", str(ROOT / "requirements.lock")], folder)
    run([uv, "pip", "install", *target, "--no-deps", str(wheel)], folder)
    return venv / "bin"


def try_out(folder: Path, binaries: Path) -> None:
    """Import everything, resolve every dependency, ask the command for its version and help."""
    run([bootstrap.find_uv(), "pip", "check", "--quiet", "--python", str(binaries / "python")], folder)
    run([str(binaries / "python"), "-W", "error", "-c", IMPORT_ALL], folder)
    run([str(binaries / "chartwire"), "--version"], folder)
    run([str(binaries / "chartwire"), "--help"], folder)


def run(command: list[str], folder: Path) -> None:
    """Run in `folder`, where nothing of the checkout is in reach; a failure ends this program with its output."""
    done = subprocess.run(
        command, cwd=folder, env=bootstrap.uv_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
