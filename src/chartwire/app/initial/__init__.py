"""`chartwire init`: an installation for real patients, from nothing to its first key.

`questions.py` what can be said, as a table; `plan.py` what was said, judged as a whole; `config_file.py` the settings
file; `deployment.py` units and container file; `beginning.py` the first organisation, key and source; `steps.py` all of
it in order, each step once.
"""
