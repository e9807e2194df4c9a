"""A vision model as one more judge: right, wrong object, or wrong extent, with a confidence.

The outlined crop and the phrase go to any OpenAI-compatible server. Its answer becomes the score
`judge_right`, which is calibrated like every other score and never decides alone. A failed, odd or
unaffordable answer leaves the score undefined, with a note; the run goes on.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import pydantic

from filters.config import JudgeConfig
from miner.core.answers import values
from miner.core.llm import Client, Question
from miner.core.rows import AnsweredCandidate

CONTEXT = 1.5  # side of the crop relative to the mask's bounding box
OUTLINE = (255, 255, 0)  # RGB; a color that no stain has
PROMPT = (
    "You see a crop of a histopathology image. A yellow line outlines one or more regions. "
    "Question: do the outlined regions show: {phrase}? Answer with a JSON object only: "
    '{{"verdict": "right" | "wrong_object" | "wrong_extent", "confidence": number from 0 to 1}}. '
    '"wrong_object": the outlined thing is something else. "wrong_extent": the thing is there, '
    "but the outline misses much of it or includes much else."
)


class Answer(pydantic.BaseModel):
    """What the model must answer."""

    verdict: Literal["right", "wrong_object", "wrong_extent"]
    confidence: float = pydantic.Field(ge=0, le=1, allow_inf_nan=False)

    @property
    def right(self) -> float:
        """Confidence that object and extent are right, 0..1."""
        return self.confidence if self.verdict == "right" else 1 - self.confidence


class Result(Protocol):
    """Where scores and notes of one candidate go."""

    scores: dict[str, float]
    notes: list[str]


class Judge:
    """Asks the server about candidates.

    Args:
        config: the settings.

    Raises:
        Refused: if `base_url` is no http address.
    """

    def __init__(self, config: JudgeConfig):
        self.config = config
        self.client = Client(config, "filters.judge")

    def score(
        self,
        image: np.ndarray,
        rows: Sequence[AnsweredCandidate],
        masks: Sequence[np.ndarray | None],
        results: Sequence[Result],
    ) -> None:
        """Judge the candidates of one picture.

        Args:
            image: uint8 (H, W, 3), RGB.
            rows: candidates; `prompt` is the phrase asked about.
            masks: bool (H, W) each, None where there is none.
            results: get `judge_right`, or a note that says why it is undefined.
        """
        asked: list[Result] = []
        questions: list[Question[Answer]] = []
        for row, mask, result in zip(rows, masks, results, strict=True):
            if mask is not None and mask.any():
                crop = outlined_crop(image, mask, self.config.crop_px)
                asked.append(result)
                questions.append(self._question(row["prompt"] or row["concept"], crop))
        for result, reply in zip(asked, self.client(questions), strict=True):
            if reply.value is not None:
                result.scores["judge_right"] = reply.value.right
            else:
                result.notes.append(f"judge: {self._why(reply.problem or '')}")

    def _question(self, phrase: str, crop: bytes) -> Question[Answer]:
        parts = [self.config.model.encode(), PROMPT.encode(), phrase.encode(), crop]
        messages = [{"role": "user", "content": _content(phrase, crop)}]
        return Question(b"\0".join(parts), messages, parse)

    def _why(self, problem: str) -> str:
        """Why there is no answer, for a note."""
        if problem in ("empty", "unreadable"):
            return "answer is not the JSON object asked for"
        if problem == "budget":
            return f"budget of {self.config.budget} calls is spent"
        return f"request failed: {problem}"

    def summary(self) -> dict[str, Any]:
        """Return `counts` of calls and problems, and the server's words on them as `missing`."""
        return {
            "counts": {f"judge_{name}": n for name, n in self.client.summary().items()},
            "missing": {f"judge {name}": words for name, words in self.client.said.items()},
        }


def parse(text: str) -> Answer | None:
    """The last complete answer in a reply, which may have thinking, text or fences around it."""
    for value in reversed(values(text)):
        try:
            return Answer.model_validate(value)
        except pydantic.ValidationError:
            continue
    return None


def outlined_crop(image: np.ndarray, mask: np.ndarray, side_px: int) -> bytes:
    """PNG of the mask's surroundings with its outline drawn.

    Args:
        image: uint8 (H, W, 3), RGB.
        mask: bool (H, W), not empty.
        side_px: length of the longer side of the crop.
    """
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    side = max(32, round(CONTEXT * max(ys[-1] - ys[0] + 1, xs[-1] - xs[0] + 1)))
    top, left = (int(v[0] + v[-1] + 1 - side) // 2 for v in (ys, xs))
    rows, columns = (slice(max(t, 0), t + side) for t in (top, left))
    crop, inside = image[rows, columns], mask[rows, columns].astype(np.uint8)
    scale = side_px / max(crop.shape[:2])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    crop = np.ascontiguousarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA))
    solid = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    lines, _ = cv2.findContours(solid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(crop, lines, -1, OUTLINE, 2)
    return cv2.imencode(".png", crop[:, :, ::-1])[1].tobytes()


def _content(phrase: str, crop: bytes) -> list[Any]:
    url = "data:image/png;base64," + base64.b64encode(crop).decode("ascii")
    return [
        {"type": "text", "text": PROMPT.format(phrase=phrase)},
        {"type": "image_url", "image_url": {"url": url}},
    ]
