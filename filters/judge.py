"""A vision model as one more judge: right, wrong object, or wrong extent, with a confidence.

The outlined crop and the phrase go to any OpenAI-compatible server. Its answer becomes the score
`judge_right`, which is calibrated like every other score and never decides alone. A failed, odd or
unaffordable answer leaves the score undefined, with a note; the run goes on.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import openai
import pydantic

from filters.config import JudgeConfig
from miner.core.replies import Replies

log = logging.getLogger(__name__)

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
    """

    def __init__(self, config: JudgeConfig):
        self.config = config
        self.replies = Replies(config.cache)
        self.calls = 0

    def score(
        self,
        image: np.ndarray,
        rows: Sequence[Mapping[str, Any]],
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
        asked: list[tuple[Result, str, bytes]] = []
        for row, mask, result in zip(rows, masks, results, strict=True):
            if mask is not None and mask.any():
                crop = outlined_crop(image, mask, self.config.crop_px)
                asked.append((result, row["prompt"] or row["concept"], crop))
        if not asked:
            return
        answers = asyncio.run(self._ask_all([(phrase, crop) for _, phrase, crop in asked]))
        for (result, _, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, Answer):
                result.scores["judge_right"] = answer.right
            else:
                result.notes.append(f"judge: {answer}")

    async def _ask_all(self, questions: Sequence[tuple[str, bytes]]) -> list[Answer | str]:
        gate = asyncio.Semaphore(self.config.in_flight)
        async with openai.AsyncOpenAI(
            base_url=self.config.base_url,
            api_key=os.environ.get(self.config.key_env) or "none",
            timeout=self.config.timeout_s,
            max_retries=self.config.retries,
        ) as client:
            return await asyncio.gather(
                *(self._ask(client, gate, phrase, crop) for phrase, crop in questions)
            )

    async def _ask(
        self, client: openai.AsyncOpenAI, gate: asyncio.Semaphore, phrase: str, crop: bytes
    ) -> Answer | str:
        """The answer, or why there is none."""
        parts = [self.config.model.encode(), PROMPT.encode(), phrase.encode(), crop]
        question = b"\0".join(parts)
        known = self.replies.get(question)
        recorded = parse(known) if known is not None else None
        if recorded is not None:
            return recorded
        async with gate:
            if self.calls >= self.config.budget:
                return f"budget of {self.config.budget} calls is spent"
            self.calls += 1
            try:
                reply = await client.chat.completions.create(
                    model=self.config.model,
                    messages=[{"role": "user", "content": _content(phrase, crop)}],
                    temperature=0,
                    max_tokens=100,
                )
            except openai.OpenAIError as error:
                log.warning("judge: %s", error)
                return f"request failed: {type(error).__name__}"
        text = (reply.choices[0].message.content or "") if reply.choices else ""
        answer = parse(text)
        if answer is None:
            return "answer is not the JSON object asked for"
        self.replies.put(question, text)
        return answer


def parse(text: str) -> Answer | None:
    """The answer in a reply, which may have text or a code fence around the object."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        return Answer.model_validate(json.loads(text[start : end + 1]))
    except (ValueError, pydantic.ValidationError):
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
