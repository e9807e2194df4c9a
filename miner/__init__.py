"""Histomine: grounded pseudo-labels from pathology image-caption corpora."""

__version__ = "0.1.0"
