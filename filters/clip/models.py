"""From the configuration to an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filters.clip.config import ClipConfig

if TYPE_CHECKING:
    from filters.clip.agreement import Encoder


def load(config: ClipConfig, threads: int) -> Encoder:
    """The encoder that the configuration names.

    Raises:
        Refused: it does not exist or is of no known class.
    """
    if config.model == "embedded":
        from filters.clip.embedded import EmbeddedClip

        return EmbeddedClip(threads, config.long_side_px)
    from filters.clip.checkpoint import CheckpointClip

    return CheckpointClip(config, threads)
