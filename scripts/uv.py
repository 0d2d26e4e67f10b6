"""Runs uv with the arguments given, by this machine's index and certificates; fetches it where there is none."""

import os
import sys

import bootstrap

uv = bootstrap.find_uv()
os.execve(uv, [uv, *sys.argv[1:]], bootstrap.uv_environment())
