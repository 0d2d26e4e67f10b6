"""Backups: a sealed base backup, the log since then as it is written, and the way back.

1. `keys.py` who may write and who may read; 2. `sealing.py` sealed streams; 3. `repository.py` the directory of a
backup: base backups, log, manifests; 4. `base.py` takes a base backup, `contents.py` what goes along with the database;
5. `wal.py` receives the log, synchronously by setting; 6. `keeper.py` does both while `chartwire up` runs (`slot.py`,
`state.py`), `once.py` on demand; 7. `checking.py`, `restore.py` the way back.
"""
