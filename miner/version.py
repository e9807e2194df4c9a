"""The version, where modules find it without the package's front door."""

__version__ = "0.1.0"
