"""Our own recording of a tiny model, checked against the official code's once, then kept.

`python -m tests.segmenters.biomedparse.golden` writes it anew. Do that only after `make parity`
has shown that the port still equals the official recording.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from segmenters.biomedparse import BiomedParse
from tests.segmenters.biomedparse.recorded import joint_run
from tests.segmenters.biomedparse.tiny import picture, write_checkpoint

FILE = Path(__file__).with_name("golden.npz")
PROMPTS = ("neoplastic cells in breast pathology", "inflammatory cells", "gland")


def tiny_model() -> BiomedParse:
    """The tiny model, loaded as a user would load it."""
    with tempfile.TemporaryDirectory() as folder:
        return BiomedParse.from_checkpoint(write_checkpoint(Path(folder) / "tiny.pt"))


def run(model: BiomedParse) -> dict[str, np.ndarray]:
    """What is recorded: each prompt by itself, and the parts of a joint run."""
    answer = model.decode(model.encode(picture()), PROMPTS)
    joint = joint_run(model, picture(), PROMPTS[:2])
    kept = {
        name: value
        for name, value in joint.items()
        if name.startswith(("backbone", "decoder", "out.", "pixel.multi", "aux", "text.grounding"))
    }
    kept["input_normalized"] = joint["input_normalized"][..., ::4, ::4]
    kept["pixel.mask_features"] = joint["pixel.mask_features"][..., ::2, ::2]
    kept |= {"prob": answer.prob, "query": answer.query, "logits": answer.logits}
    return {name: np.asarray(value) for name, value in kept.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez_compressed(FILE, **run(tiny_model()))
