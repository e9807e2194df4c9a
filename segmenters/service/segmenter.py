"""Any model as a witness: tile and phrases in, run lengths and scores out.

A request is `{"image": PNG in base64, "width", "height", "mpp", "phrases": [{"concept", "kind",
"text"}, ...]}`; its answer `{"version", "answers": [...]}`, an answer per phrase in their order:
`{"counts": COCO compressed RLE of the picture's size, or null, "instances": [counts, ...],
"score": 0..1}`. A process gets and gives an `id` as well. `{"error": "..."}` is an answer, too.
"""

from __future__ import annotations

import base64
import json
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal

import numpy as np
import pydantic

from miner.core.parts import Part
from miner.core.pixels import encode
from miner.core.replies import Replies
from miner.core.rle import decode_masks
from miner.core.settings import PartSettings
from segmenters.protocol import Candidate, Prompt, Segmenter
from segmenters.service.asking import Endpoint, Fault, Process

log = logging.getLogger(__name__)


class ServiceConfig(PartSettings):
    """A model with an environment or a licence of its own, asked without being installed here.

    Attributes:
        name: name in the ledger.
        command: program and arguments of a local process that answers JSON lines.
        url: address that answers JSON, in place of a process.
        version: of the model, as its answers state it; part of the run's identity. An answer of
            another version is none.
        concepts: those that it knows; empty for all.
        cache: folder of recorded answers; in a run whose OUT is local, `services/` in it.
        timeout_s: seconds for one answer, of a process the loading of its model included.
        retries: further attempts at what had no answer.
    """

    kind: Literal["service"] = "service"
    name: str = "service"
    command: tuple[str, ...] = ()
    url: str = pydantic.Field("", pattern=r"^(https?://.+)?$")
    version: str = pydantic.Field(min_length=1)
    concepts: tuple[str, ...] = ()
    cache: str | None = None
    timeout_s: float = pydantic.Field(default=120.0, gt=0)
    retries: int = pydantic.Field(default=1, ge=0)

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> ServiceConfig:
        if bool(self.command) == bool(self.url):
            raise ValueError("either a command or a url")
        return self

    def incidental(self) -> Set[str]:
        """Where the model runs, and how long one waits for it: its version says what it answers."""
        return {"command", "url", "cache", "timeout_s", "retries"}


class ServiceSegmenter(Segmenter):
    """Asks a service about each picture once, with all phrases.

    What it answers is recorded by content, so that a resumed run gives the same bytes. Where it has
    no answer, whatever the cause, the candidates say why: `failed:timeout`, `failed:connection`,
    `failed:http_NNN`, `failed:not_json`, `failed:another_version`, `failed:unreadable`,
    `failed:error`; the run goes on, and no failure is recorded.

    Args:
        config: the service.

    Attributes:
        counts: calls, recorded answers, problems.
    """

    def __init__(self, config: ServiceConfig):
        self.config = config
        self.name = config.name
        self.counts: Counter[str] = Counter()
        self._way = Process(config.command) if config.command else Endpoint(config.url)
        self._replies = Replies(config.cache)

    def supports(self, concept: str) -> bool:
        """Whether it is among the configured ones, if any are."""
        return not self.config.concepts or concept in self.config.concepts

    def encode(self, image: np.ndarray, mpp: float | None) -> Mapping[str, Any]:
        """The part of a request that all phrases share."""
        height, width = image.shape[:2]
        picture = base64.b64encode(encode(image, "png")).decode("ascii")
        return {"image": picture, "width": width, "height": height, "mpp": mpp}

    def segment(self, encoded: Mapping[str, Any], prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        phrases = [{"concept": p.concept, "kind": p.kind, "text": p.wordings[0]} for p in prompts]
        request = {**encoded, "phrases": phrases}
        question = json.dumps([self.name, self.config.version, request], sort_keys=True).encode()
        size = encoded["height"], encoded["width"]
        recorded = self._replies.get(question)
        if recorded is not None:
            try:
                found = _read(json.loads(recorded), prompts, size)
            except (ValueError, Fault):  # a broken record: it is asked again
                pass
            else:
                self.counts["cached"] += 1
                return found
        try:
            answers, found = self._asked(request, prompts, size)
        except Fault as fault:
            self.counts[str(fault)] += 1
            log.warning("%s: %s", self.name, fault)
            reason = f"failed:{fault}"
            return [Candidate(p.concept, p.wordings[0], None, reason=reason) for p in prompts]
        self._replies.put(question, json.dumps(answers))
        return found

    def _asked(
        self, request: Mapping[str, Any], prompts: Sequence[Prompt], size: tuple[int, int]
    ) -> tuple[Any, list[Candidate]]:
        """Answers and what they say; raises `Fault`."""
        for attempt in range(self.config.retries + 1):
            self.counts["calls"] += 1
            try:
                reply = self._way.ask(request, self.config.timeout_s)
                answers = _answers(reply, self.config.version)
                return answers, _read(answers, prompts, size)
            except Fault as fault:
                # Another attempt mends neither its version nor what it says of itself.
                if attempt == self.config.retries or str(fault) in ("another_version", "error"):
                    raise
                log.info("%s: %s, asked again", self.name, fault)
        raise Fault("connection")


def _answers(reply: Any, version: str) -> Any:
    """The answers of a reply of the right version; raises `Fault`."""
    if not isinstance(reply, Mapping):
        raise Fault("unreadable")
    if reply.get("error"):
        log.warning("the service says: %s", str(reply["error"])[:300])
        raise Fault("error")
    if reply.get("version") != version:
        said = str(reply.get("version"))[:80]
        log.warning("the service is of version %s, configured is %s", said, version)
        raise Fault("another_version")
    return reply.get("answers")


def _read(answers: Any, prompts: Sequence[Prompt], size: tuple[int, int]) -> list[Candidate]:
    """Candidates of the answers.

    Raises:
        Fault: `unreadable`: not one answer per prompt, masks of another size or broken ones, a
            score that is none.
    """
    if not isinstance(answers, list) or len(answers) != len(prompts):
        raise Fault("unreadable")
    try:
        return [_candidate(one, p, size) for one, p in zip(answers, prompts, strict=True)]
    except (ValueError, TypeError, AttributeError, KeyError):
        raise Fault("unreadable") from None


def _candidate(answer: Mapping[str, Any], prompt: Prompt, size: tuple[int, int]) -> Candidate:
    score = float(answer.get("score", 0.0))
    if not math.isfinite(score) or not 0 <= score <= 1:
        raise ValueError("a score is from 0 to 1")
    wording = prompt.wordings[0]
    objects = list(answer.get("instances") or ())
    parts = objects or ([answer["counts"]] if answer.get("counts") else [])
    masks = decode_masks([{"size": list(size), "counts": c} for c in parts], *size)
    if not masks.any():
        return Candidate(prompt.concept, wording, None, confidence=score, reason="empty")
    labels = None
    if objects and prompt.kind == "object":
        labels = np.zeros(size, np.int32)
        for i, mask in enumerate(masks, start=1):
            labels[(mask > 0) & (labels == 0)] = i
    return Candidate(prompt.concept, wording, masks.any(axis=0), labels, score)


PART = Part(
    kind="service",
    Settings=ServiceConfig,
    build=lambda config, threads: ServiceSegmenter(config),
)
