"""Whether a backup can be restored: manifest, sizes, hashes, seals, and a log without a gap. Touches nothing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chartwire.app.backup.keys import RecoveryKey
from chartwire.app.backup.repository import Base, Repository, Segment, file_sha256
from chartwire.app.backup.sealing import frames
from chartwire.core.errors import NotFoundError, ValidationError
from chartwire.store.replication import parse_lsn, show_lsn


@dataclass(frozen=True, slots=True)
class Until:
    """How far to go: to the end of the log (neither), to an instant, or to a position in the log."""

    time: datetime | None = None
    lsn: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore will use: a base backup, the log's segments in order, and where the log ends; why newer base
    backups cannot be used, which costs time but no data."""

    base: Base
    segments: tuple[Segment, ...]
    end: int
    passed_over: tuple[str, ...] = ()


def read_until(text: str) -> Until:
    """`latest`, a position (`0/3000060`) or an instant with its zone. Raises ValidationError (`until`)."""
    if text == "latest":
        return Until()
    try:
        if "/" in text:
            return Until(lsn=parse_lsn(text))
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValidationError(
            "--until takes `latest`, a position such as 0/3000060, or an instant with its zone such as "
            "2026-11-20T08:15:00Z",
            code="until",
        )
    return Until(time=time)


def plan(repository: Repository, key: RecoveryKey, until: Until) -> Plan:
    """Choose the newest sound base backup before `until` and check all that a restore needs.

    Raises NotFoundError (`no_backup`), ValidationError: `backup_tampered`, `wal_missing`, `wrong_backup_key`.
    """
    base, faults = _chosen(repository, key, until)
    segments = _contiguous(repository, base, until)
    end = _check_log(repository, key, base, segments, until)
    if end < max(base.end, until.lsn or 0):
        raise _missing(end, max(base.end, until.lsn or 0))
    return Plan(base, segments, end, tuple(fault.message for fault in faults))


def open_segment(repository: Repository, key: RecoveryKey, segment: Segment, segment_bytes: int) -> tuple[bytes, bool]:
    """The bytes of a segment, of the file that holds most, and whether what follows them was altered."""
    best, altered = b"", False
    for path in segment.paths:
        found, broken = _open(path, key, repository.wal_purpose(segment.timeline, segment.start))
        if len(found) > len(best) or not best:
            best, altered = found, broken
        if len(best) == segment_bytes:
            break
    return best, altered


def _open(path: Path, key: RecoveryKey, purpose: str) -> tuple[bytes, bool]:
    found = bytearray()
    try:
        with path.open("rb") as file:
            for data in frames(file, key, purpose):
                found += data
    except ValidationError as error:
        return bytes(found), error.code != "backup_cut"
    return bytes(found), False


def _chosen(repository: Repository, key: RecoveryKey, until: Until) -> tuple[Base, list[ValidationError]]:
    bases, faults = repository.look(key.server)
    for base in reversed([base for base in bases if _ended_before(base, until)]):
        try:
            _check_base(repository, key, base)
        except ValidationError as fault:
            faults.append(fault)
        else:
            return base, faults
    if faults:
        raise faults[-1]
    first = f"; the first one ends at {bases[0].finished_at}, {bases[0].end_lsn}" if bases else ""
    raise NotFoundError(f"no base backup in {repository.directory} is old enough{first}", code="no_backup")


def _ended_before(base: Base, until: Until) -> bool:
    if until.time is not None:
        return datetime.fromisoformat(base.finished_at) <= until.time
    return until.lsn is None or base.end <= until.lsn


def _check_base(repository: Repository, key: RecoveryKey, base: Base) -> None:
    for file in base.files:
        path = repository.base_directory(base.label) / file.name
        if not path.exists():
            raise ValidationError(f"{base.label}/{file.name} is missing", code="backup_tampered")
        if path.stat().st_size != file.bytes or file_sha256(path) != file.sha256:
            raise ValidationError(
                f"{base.label}/{file.name} is not what the manifest says: it was altered or damaged",
                code="backup_tampered",
            )
        with path.open("rb") as sealed:
            for _ in frames(sealed, key, repository.base_purpose(base.label, file.name.removesuffix(".sealed"))):
                pass


def _contiguous(repository: Repository, base: Base, until: Until) -> tuple[Segment, ...]:
    """The segments from the base backup's beginning on, to the last one that is needed."""
    at = base.start // base.segment_bytes * base.segment_bytes
    found = []
    for segment in repository.segments(base.timeline):
        if segment.start < at or (until.lsn is not None and segment.start > until.lsn):
            continue
        if segment.start > at:
            raise _missing(at, segment.start)
        found.append(segment)
        at += base.segment_bytes
    if not found:
        raise _missing(at, base.end)
    return tuple(found)


def _check_log(
    repository: Repository, key: RecoveryKey, base: Base, segments: tuple[Segment, ...], until: Until
) -> int:
    """Open every segment; where the log ends. Only the last may be part of one."""
    end = base.start
    for number, segment in enumerate(segments, start=1):
        data, altered = open_segment(repository, key, segment, base.segment_bytes)
        end = segment.start + len(data)
        enough = until.lsn is not None and end >= until.lsn
        if altered and not enough:
            raise ValidationError(
                f"the log was altered or damaged after {show_lsn(end)}; --until {show_lsn(end)} goes so far",
                code="backup_tampered",
            )
        if len(data) < base.segment_bytes and number < len(segments) and not enough:
            raise _missing(end, segment.start + base.segment_bytes)
    return end


def _missing(start: int, end: int) -> ValidationError:
    return ValidationError(
        f"the log from {show_lsn(start)} to {show_lsn(end)} is missing: restore to a point before it by --until, or "
        "find its files",
        code="wal_missing",
    )
