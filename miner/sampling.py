"""Which accepted samples are written: caps and targets per stratum and per concept."""

from miner.settings import Settings


class SamplingConfig(Settings):
    """Caps on what is written; nothing is capped by default."""
