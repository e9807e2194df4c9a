"""A disk that fails at any write, and what a run makes of it: `python -m tests.faults`."""
