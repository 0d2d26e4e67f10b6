"""Runs uv with the arguments given, with this machine's index and certificates; fetches it when the machine has none."""

import os
import sys

import bootstrap

uv = bootstrap.find_uv()
os.execve(uv, [uv, *sys.argv[1:]], bootstrap.uv_environment())
