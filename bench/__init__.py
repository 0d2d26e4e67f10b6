"""Measurements that make bench runs; never timed tests."""
