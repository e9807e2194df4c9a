"""Candidate masks to scores and verdicts."""
