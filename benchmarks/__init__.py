"""Benchmarks: `python benchmarks/run.py --list`."""
