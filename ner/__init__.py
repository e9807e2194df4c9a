"""Captions to mentions: which visible structures a caption names, and with what polarity."""
