"""Whether there is a backup, and whether it is worth something."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from chartwire.app.backup.state import newest_evidence, read_state
from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Surroundings
from chartwire.app.installation import is_embedded

_KEEPER = "backup-0"


async def backups(around: Surroundings) -> Iterable[Found]:
    """None, an old one, one that fails, one on the same disk."""
    settings = around.settings
    if not settings.backup_dir and not settings.backup_evidence:
        return [found("no_backup")]
    saw = []
    newest = newest_evidence(settings)
    if newest is None:
        saw.append(found("backup_fails", reason="none was ever completed", directory="the backup directory"))
    elif around.at - newest > 2 * timedelta(seconds=settings.backup_every_s):
        saw.append(found("backup_old", age=around.age(newest)))
    return saw + _keeper(around)


def _keeper(around: Surroundings) -> list[Found]:
    settings, state = around.settings, read_state(around.settings)
    if not settings.backup_dir or not is_embedded(settings):
        return []
    saw = []
    if state and state["error"] and not state["receiving"]:
        saw.append(found("backup_fails", reason=state["error"], directory="the backup directory"))
    elif around.processes and (_KEEPER not in around.processes or not (state and state["receiving"])):
        saw.append(found("backup_fails", reason="the log is not received", directory="the backup directory"))
    if _device(Path(settings.backup_dir)) == _device(settings.data_dir):
        saw.append(found("backup_beside_data"))
    return saw


def _device(path: Path) -> int:
    """The disk of a path, or of the nearest parent that is there."""
    while not path.exists():
        path = path.absolute().parent
    return path.stat().st_dev
