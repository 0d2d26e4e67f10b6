"""A bundle for who helps: what is installed, how it is set, what it did, and nothing about a patient.

1. `parts.py` what is in it, by list; 2. `machine.py`, `database.py` how the parts are made; 3. `logs.py` logs, line by
line; 4. `bundle.py` the archive with its manifest.
"""
