"""Samples to dialogues in the proportions of a mix, streamed and seeded."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set

from miner.core.rows import TurnRow
from ner.concepts import concepts
from ner.families import related
from shards.export.dialogue import EITHER, Answering
from shards.export.folder import ExportedSample, PlacedPrompt, Sample
from shards.instruct.exchange import Exchange, Task
from shards.instruct.mix import Mix
from shards.instruct.paraphrase import Reworder, client
from shards.instruct.tasks import task
from shards.instruct.thoughts import thought
from shards.sample import GroundedSample, SampleMention

# Whose answers show every region named.
_MARKING = {"segment", "locate", "present", "prompted", "describe"}
SLACK = 20  # dialogues before a stratum's share is held against it
MOST_DENIED = 0.2  # of all denials may be of one concept, else its name would tell the answer
FEW_DENIED = 3  # denials of one concept that may be, however few there are of others
DRAWS = 8  # of a denial, until its concept is none that was denied too often


def instructed(
    samples: Iterable[Sample],
    mix: Mix,
    form: Answering = EITHER,
) -> Iterator[Sample]:
    """Samples whose text is a dialogue: `turns`, mentions with `turn`, `prompts` where there are.

    Which task is asked is a matter of which is most behind its share, so shares are met as far as
    the samples allow, refusals included, in one pass and with no memory of the samples.

    Args:
        samples: grounded samples.
        mix: what the dialogues are made of.
        form: how answers of the dialect that they go to say where something is: nothing is asked
            that they cannot say, and no wording speaks of what they do not show.
    """
    tasks = {name: task(name, mix.certain, form) for name in (*mix.tasks, "refuse")}
    asked: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    strata: Counter[str] = Counter()
    total = 0
    reword = client(mix.paraphrase) if mix.paraphrase else None
    for sample in samples:
        rng = random.Random(f"{mix.seed}:{sample.key}")
        stratum = _stratum(sample.value, mix.stratum)
        if total > SLACK and strata[stratum] >= mix.max_share * (total + 1):
            continue
        exchanges = _exchanges(sample.value, mix, tasks, form.always, rng, asked, gone)
        if not exchanges:
            continue
        total += 1
        strata[stratum] += 1
        yield dataclasses.replace(sample, value=_dialogue(sample.value, exchanges, mix, reword))


def _stratum(sample: GroundedSample, kind: str) -> str:
    prefix = f"{kind}="
    return ",".join(s for s in sample["strata"] if s.startswith(prefix))


def _exchanges(
    sample: GroundedSample,
    mix: Mix,
    tasks: Mapping[str, Task],
    always: bool,
    rng: random.Random,
    asked: Counter[str],
    gone: Counter[str],
) -> list[Exchange]:
    """Up to `mix.exchanges` exchanges, each of the task most behind its share.

    Args:
        sample: what is spoken of.
        mix: of the tasks.
        tasks: by name.
        always: whether every answer has to point to something.
        rng: of all choices.
        asked: exchanges so far, by task; counts on.
        gone: denials so far, by concept; counts on.
    """
    scale = (1 - mix.refusals) / sum(mix.tasks.values())
    shares = {name: share * scale for name, share in mix.tasks.items()} | {"refuse": mix.refusals}
    found: list[Exchange] = []
    questions: set[str] = set()
    denied: set[str] = set()
    told: set[str] = set()  # concepts that an answer has pointed to
    marked: set[str] = set()  # of these, those that an answer has marked
    open_tasks = {name for name, share in shares.items() if share > 0}
    wanted = rng.randint(1, mix.exchanges)
    while open_tasks and len(found) < wanted:
        count = sum(asked.values()) + 1
        name = max(sorted(open_tasks), key=lambda name: shares[name] * count - asked[name])
        open_tasks.discard(name)
        if name == "refuse" and asked[name] >= mix.refusals * count:  # never in place of others
            continue
        exchange = _drawn(tasks[name], sample, rng, denied, gone)
        if exchange is None or exchange.question in questions:
            continue
        if always and not exchange.grounded:
            continue
        pointed = {sample["regions"][region]["concept"] for _, _, region in exchange.grounded}
        if exchange.task == "present" and _kin(pointed, told):  # nobody asks what was just said
            continue
        if (
            exchange.task in ("segment", "locate") and pointed & marked
        ):  # nor for what was just shown
            continue
        told |= pointed
        marked |= pointed if exchange.task in _MARKING else set()
        questions.add(exchange.question)
        if exchange.denied:
            denied.add(exchange.denied)
            gone[exchange.denied] += 1
        asked[name] += 1
        chained = random.Random(f"{mix.seed}:{sample['key']}:{name}:think")
        if not exchange.think and chained.random() < mix.think_share:
            exchange = thought(exchange, sample, chained)
        found.append(exchange)
    return found


def _drawn(
    task: Task, sample: GroundedSample, rng: random.Random, denied: Set[str], gone: Counter[str]
) -> Exchange | None:
    """An exchange of a task that denies nothing twice in a dialogue, nor too often in all."""
    most = max(FEW_DENIED, MOST_DENIED * (gone.total() + 1))
    for _ in range(DRAWS):
        exchange = task(sample, rng)
        if exchange is None or not exchange.denied:
            return exchange
        if exchange.denied not in denied and gone[exchange.denied] + 1 <= most:
            return exchange
    return None


def _kin(some: Set[str], others: Set[str]) -> bool:
    """Whether two sets of concepts have one in common, or a kind, part or whole of one."""
    return any(related(a, b, concepts()) for a in some for b in others) or bool(some & others)


def _dialogue(
    sample: GroundedSample, exchanges: list[Exchange], mix: Mix, reword: Reworder | None
) -> ExportedSample:
    turns: list[TurnRow] = []
    mentions: list[SampleMention] = []
    prompts: list[PlacedPrompt] = []
    if reword:
        said = iter(reword([e for e in exchanges if e.task != "describe"]))
        exchanges = [e if e.task == "describe" else next(said) for e in exchanges]
    for exchange in exchanges:
        if exchange.prompt:
            prompts.append({"turn": len(turns), **exchange.prompt})
        turns.append({"role": "user", "text": exchange.question})
        front = f"<think>{exchange.think}</think> " if exchange.think and mix.think else ""
        text = front + exchange.answer
        for start, end, region in exchange.grounded:
            start, end = start + len(front), end + len(front)
            concept = sample["regions"][region]
            mentions.append(
                {
                    "start": start,
                    "end": end,
                    "text": text[start:end],
                    "concept": concept["concept"],
                    "kind": concept["kind"],
                    "polarity": "affirmed",
                    "sources": ["template"],
                    "groundable": True,
                    "reason": None,
                    "regions": [region],
                    "turn": len(turns),
                }
            )
        turns.append({"role": "assistant", "text": text})
    return {
        **sample,
        "caption": "",
        "turns": turns,
        "mentions": mentions,
        "prompts": prompts,
        "tasks": [exchange.task for exchange in exchanges],
    }
