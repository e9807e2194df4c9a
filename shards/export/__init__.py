"""Exporters: one module per dialect, each writing what the consumer's own loader reads."""
