"""What a backup holds besides the database: what an empty machine needs so that the database is of use."""

import json
import os
from pathlib import Path

from chartwire.app.backup.keys import SERVER_KEY_NAME
from chartwire.app.embedded import ROLES_NAME
from chartwire.app.knobs import Settings
from chartwire.app.sandbox_file import write_private
from chartwire.app.services import master_key
from chartwire.app.settings import tls_files, to_values
from chartwire.core.errors import ValidationError

MASTER_KEY, PASSWORDS, SETTINGS = "master.key", f"postgres/{ROLES_NAME}", "settings.json"
UNFINISHED_NAME = "restore-unfinished"
_FOR_THE_OPERATOR = "restored"


def installation_files(settings: Settings) -> dict[str, str]:
    """Texts by their path in the data directory: keys, passwords of the database's roles, settings in force, TLS files.

    Raises OSError for a file that the settings name and that cannot be read.
    """
    files = {
        MASTER_KEY: master_key(settings).hex() + "\n",
        SERVER_KEY_NAME: (settings.data_dir / SERVER_KEY_NAME).read_text(encoding="utf-8"),
        PASSWORDS: (settings.data_dir / PASSWORDS).read_text(encoding="utf-8"),
        SETTINGS: json.dumps(to_values(settings), indent=1),
    }
    for named in set(tls_files(settings).values()):
        files[f"tls/{Path(named).name}"] = Path(named).read_text(encoding="utf-8")
    return files


def put_back(files: dict[str, str], data_dir: Path) -> None:
    """Write what `installation_files` gave into an empty data directory, mode 0600.

    Settings and TLS files, which belong elsewhere, go into `restored/` for the operator to look at.
    """
    for name, text in files.items():
        aside = name == SETTINGS or name.startswith("tls/")
        path = data_dir / _FOR_THE_OPERATOR / name if aside else data_dir / name
        if not path.resolve().is_relative_to(data_dir.resolve()):
            raise ValidationError("the backup names a file outside the data directory", code="backup_tampered")
        path.parent.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)
        write_private(path, text)
