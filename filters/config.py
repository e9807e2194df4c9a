"""Settings of the filters."""

from miner.settings import Settings


class FilterConfig(Settings):
    """Which masks are kept.

    Attributes:
        precision: stated share of accepted masks with IoU >= .5 against the truth.
    """

    precision: float = 0.9
