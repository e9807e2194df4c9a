"""Hostile and damaged input at every boundary: `python -m tests.fuzz`, a slice in make test."""
