"""Readers of the corpora as their publishers distribute them."""
