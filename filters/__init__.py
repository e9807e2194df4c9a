"""Histomine, candidate masks to scores and verdicts."""
