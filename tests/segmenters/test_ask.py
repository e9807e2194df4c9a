"""What a model raises is a reason of its questions, unless it says that memory ran out."""

import numpy as np
import pytest

from segmenters.ask import ask
from segmenters.protocol import Prompt, Segmenter

IMAGE = np.zeros((8, 8, 3), np.uint8)
PROMPTS = [Prompt("nucleus", "object", ("nuclei",)), Prompt("stroma", "stuff", ("stroma",))]


class AcceleratorError(RuntimeError):
    """Called as torch calls what a broken GPU raises."""


class Failing(Segmenter):
    """Raises while it encodes or while it answers."""

    name = "failing"

    def __init__(self, error, where):
        self.error, self.where = error, where

    def supports(self, concept):
        return True

    def encode(self, image, mpp):
        if self.where == "encode":
            raise self.error
        return image

    def segment(self, encoded, prompts):
        raise self.error


@pytest.mark.parametrize("where", ["encode", "segment"])
def test_what_a_model_raises_is_the_reason_of_its_questions(where):
    found = ask(Failing(ValueError("odd"), where), IMAGE, None, PROMPTS)
    assert [one.reason for one in found] == ["failed:ValueError"] * 2


@pytest.mark.parametrize("where", ["encode", "segment"])
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        AcceleratorError("CUDA error: device-side assert triggered"),
    ],
)
def test_lack_of_memory_and_a_broken_card_are_no_verdict_on_a_picture(where, error):
    with pytest.raises(type(error)) as raised:
        ask(Failing(error, where), IMAGE, None, PROMPTS)
    assert raised.value is error
