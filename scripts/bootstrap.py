"""Installs Chartwire into .venv beside this checkout, from the hash-pinned lock, where there may be only Python.

    python3 scripts/bootstrap.py            # at once when nothing changed since the last time

It needs uv, and takes the first that it finds: on the PATH; in .tools/ from an earlier run; by pip; by the pip that
Debian keeps for `venv`; straight from the package index that the machine is configured for; by a pip wheel that
`apt-get download` fetches (no root needed). Whatever its way, uv's hash must stand in requirements-tools.lock.
Standard library only. No registry is named here: the machine's configuration, pip and apt know theirs.
"""

import configparser
import contextlib
import hashlib
import html.parser
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
LOCK = ROOT / "requirements-dev.lock"
TOOLS_LOCK = ROOT / "requirements-tools.lock"
STAMP = VENV / "chartwire-installed"
UV_FROM_PIP = {
    "UV_DEFAULT_INDEX": "index-url",
    "UV_INDEX": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
    "SSL_CERT_FILE": "cert",
}
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PYTHONS = ("python3.13", "python3.12", "python3.11")
HTTP_TIMEOUT_S = 120.0
WHEEL_BYTES_MAX = 200 * 1024 * 1024
INDEX_BYTES_MAX = 50 * 1024 * 1024

HELP = """cannot install: neither uv nor pip is here, and none of these ways brought one:
{reasons}
Any one of these helps, then run the same command again:
  - as root: apt-get install python3-venv
  - install uv and put it on the PATH
  - set PIP_INDEX_URL to the package index of your network"""


class BootstrapError(Exception):
    """One way to get a tool did not work; the text says why."""


def main() -> int:
    """Install what the lock names and this checkout; 0 when .venv is ready."""
    if sys.version_info < (3, 11):
        return _again_with_a_newer_python()
    stamp = _stamp()
    if STAMP.exists() and STAMP.read_text() == stamp:
        return 0
    try:
        uv = find_uv()
    except BootstrapError as error:
        print(error, file=sys.stderr)
        return 1
    STAMP.unlink(missing_ok=True)
    install(uv)
    STAMP.write_text(stamp)
    return 0


def install(uv: str) -> None:
    """Make .venv when it is not usable, bring it to the lock exactly, and link this checkout into it."""
    python = VENV / "bin" / "python"
    if not _works([str(python), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]):
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)])
    target = ["--quiet", "--python", str(python)]
    _run([uv, "pip", "sync", *target, "--require-hashes", str(LOCK)])
    # The lock brings the build backend, so building the link fetches nothing more.
    _run([uv, "pip", "install", *target, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])


def find_uv() -> str:
    """The path of a uv program, fetched into .tools when the machine has none. Raises BootstrapError with advice."""
    for place in (shutil.which("uv"), str(TOOLS / "uv")):
        if place and _works([place, "--version"]):
            return place
    print("fetching uv, the installer", file=sys.stderr)
    TOOLS.mkdir(exist_ok=True)
    reasons = []
    ways: list[Callable[[Path], None]] = [_by_pip, _by_bundled_pip, _by_index, _by_apt]
    for way in ways:
        with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
            try:
                way(Path(folder))
                return _unpack_uv(Path(folder))
            except (BootstrapError, OSError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
                reasons.append(f"  - {way.__doc__}: {error}")
    raise BootstrapError(HELP.format(reasons="\n".join(reasons)))


def _by_pip(folder: Path) -> None:
    """by pip"""
    _pip_download([sys.executable, "-m", "pip"], folder)


def _by_bundled_pip(folder: Path) -> None:
    """by the pip that comes with venv"""
    wheels = sorted(_bundled_pip_wheels())
    if not wheels:
        raise BootstrapError("there is none")
    _pip_download([sys.executable, f"{wheels[-1]}/pip"], folder)


def _by_apt(folder: Path) -> None:
    """by a pip wheel from apt"""
    apt, dpkg_deb = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if not apt or not dpkg_deb:
        raise BootstrapError("there is no apt-get")
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    own = ["-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}"]
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.getuid() == 0 else []
    for command in (["update"], ["download", "python3-pip-whl"]):
        _run([apt, "-qq", *own, *sandbox, *command], cwd=folder)
    for package in folder.glob("*.deb"):
        _run([dpkg_deb, "-x", str(package), str(folder / "root")])
    wheels = sorted((folder / "root").rglob("pip-*.whl"))
    if not wheels:
        raise BootstrapError("the package python3-pip-whl holds no wheel")
    _pip_download([sys.executable, f"{wheels[-1]}/pip"], folder)


def _pip_download(pip: list[str], folder: Path) -> None:
    if not _works([*pip, "--version"]):
        raise BootstrapError("there is none")
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    _run([*pip, "download", *options, "-r", str(TOOLS_LOCK)])


def _bundled_pip_wheels() -> Iterator[Path]:
    for folder in (Path("/usr/share/python-wheels"), *(Path(p) / "ensurepip" / "_bundled" for p in sys.path if p)):
        with contextlib.suppress(OSError):
            yield from folder.glob("pip-*.whl")


def _by_index(folder: Path) -> None:
    """from the package index of PIP_INDEX_URL or pip.conf"""
    index = _configured_index()
    if index is None:
        raise BootstrapError("none is configured")
    name, address = _choose_wheel(_links(f"{index.rstrip('/')}/uv/"))
    data = _fetch(address, WHEEL_BYTES_MAX)
    (folder / name).write_bytes(data)


def _configured_index() -> str | None:
    return os.environ.get("UV_DEFAULT_INDEX") or _pip_setting("index-url")


def _pip_setting(name: str) -> str | None:
    """What pip is told on this machine, by its environment or configuration files."""
    variable = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
    if variable:
        return variable
    home = Path.home()
    places = (os.environ.get("PIP_CONFIG_FILE"), home / ".config/pip/pip.conf", home / ".pip/pip.conf", "/etc/pip.conf")
    for place in places:
        config = configparser.ConfigParser(interpolation=None)
        with contextlib.suppress(configparser.Error, OSError):
            config.read(place or ())
        if config.has_option("global", name):
            return " ".join(config.get("global", name).split())
    return None


def uv_environment() -> dict[str, str]:
    """The environment for uv: it reads no pip settings and no system certificates by itself, and networks need both."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    for variable, setting in UV_FROM_PIP.items():
        value = _pip_setting(setting)
        if value:
            environment.setdefault(variable, value)
    if SYSTEM_CERTIFICATES.exists():
        environment.setdefault("UV_SYSTEM_CERTS", "1")
    return environment


def _links(page: str) -> dict[str, str]:
    """File name -> address, from a project's page in the simple API: JSON (PEP 691) or HTML (PEP 503)."""
    data = _fetch(page, INDEX_BYTES_MAX, accept="application/vnd.pypi.simple.v1+json, text/html;q=0.5")
    try:
        files = json.loads(data)["files"]
        found = {str(file["filename"]): str(file["url"]) for file in files}
    except ValueError:
        anchors = _Anchors()
        anchors.feed(data.decode("utf-8", "replace"))
        found = {
            urllib.parse.unquote(urllib.parse.urlsplit(link).path.rsplit("/", 1)[-1]): link for link in anchors.links
        }
    return {name: urllib.parse.urljoin(page, link) for name, link in found.items()}


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def _choose_wheel(links: dict[str, str]) -> tuple[str, str]:
    version, _ = _pinned_uv()
    system = {"Linux": "musllinux" if Path("/etc/alpine-release").exists() else "manylinux", "Darwin": "macosx"}
    kind, machine = system.get(platform.system(), "none"), platform.machine()
    pattern = re.compile(rf"uv-{re.escape(version)}-py3-none-{kind}[a-z0-9_.]*_{machine}[a-z0-9_.]*\.whl")
    for name, address in links.items():
        if pattern.fullmatch(name):
            return name, address
    raise BootstrapError(f"it has no uv {version} for {kind} {machine}")


def _fetch(address: str, size_max: int, accept: str = "*/*") -> bytes:
    if not address.startswith(("https://", "http://")):
        raise BootstrapError(f"{urllib.parse.urlsplit(address).scheme} is no web address")
    parts = urllib.parse.urlsplit(address)
    request = urllib.request.Request(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl())
    request.add_header("Accept", accept)
    if parts.username:
        manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
        user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
        manager.add_password(None, request.full_url, user, password, is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    else:
        opener = urllib.request.build_opener()
    with opener.open(request, timeout=HTTP_TIMEOUT_S) as response:
        data: bytes = response.read(size_max + 1)
    if len(data) > size_max:
        raise BootstrapError("the answer is too large")
    return data


def _pinned_uv() -> tuple[str, frozenset[str]]:
    """The version of uv that the tools' lock names, and the SHA-256 of its files."""
    text = TOOLS_LOCK.read_text(encoding="utf-8")
    version = re.search(r"^uv==([^\s\\]+)", text, re.MULTILINE)
    if version is None:
        raise BootstrapError("requirements-tools.lock names no uv")
    return version.group(1), frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))


def _unpack_uv(folder: Path) -> str:
    """The program out of the wheel in `folder`, into .tools; refused when its hash is not in the lock."""
    wheels = sorted(folder.glob("uv-*.whl"))
    if not wheels:
        raise BootstrapError("no wheel came")
    if hashlib.sha256(wheels[0].read_bytes()).hexdigest() not in _pinned_uv()[1]:
        raise BootstrapError("the wheel's hash is not in requirements-tools.lock")
    with zipfile.ZipFile(wheels[0]) as archive:
        member = next((name for name in archive.namelist() if name.endswith(".data/scripts/uv")), None)
        if member is None:
            raise BootstrapError("the wheel holds no uv program")
        program = folder / "uv"
        program.write_bytes(archive.read(member))
    program.chmod(0o755)
    if not _works([str(program), "--version"]):
        raise BootstrapError("the fetched uv does not run here")
    program.replace(TOOLS / "uv")
    return str(TOOLS / "uv")


def _stamp() -> str:
    digest = hashlib.sha256(f"{ROOT}:{sys.version_info[:2]}".encode())
    for path in (LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _again_with_a_newer_python() -> int:
    for name in PYTHONS:
        path = shutil.which(name)
        if path:
            return subprocess.call([path, *sys.argv])
    print("Chartwire needs Python 3.11 or later: apt-get install python3", file=sys.stderr)
    return 1


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(command: list[str], cwd: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=cwd, env=uv_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise BootstrapError("\n".join(lines[-12:]) or f"{Path(command[0]).name} failed")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BootstrapError as failure:
        print(f"installation failed:\n{failure}", file=sys.stderr)
        sys.exit(1)
