"""Accepted samples to WebDataset shards, and back: loaders, validation, exporters."""
