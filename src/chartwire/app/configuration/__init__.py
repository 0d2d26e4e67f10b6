"""Configuration as files: what an organisation has set, exported, compared and applied.

Read: `kind.py` (what each kind of object offers), `kinds.py` (the registry), `files.py` (from a file to values:
variables and secret references), `planning.py` (the semantic difference), `applying.py` (one transaction).
"""
