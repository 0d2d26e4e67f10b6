"""Prints the path of uv, fetching it as scripts/bootstrap.py does when the machine has none."""

import bootstrap

print(bootstrap.find_uv())
