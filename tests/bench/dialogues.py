"""Dialogues of a run as text, to be read by somebody: `python -m tests.bench.dialogues OUT`."""

from __future__ import annotations

import argparse

from miner.core.store import Store
from shards.export.run import samples
from shards.instruct.mix import read_mix
from shards.instruct.run import instructed


def main() -> None:
    """Print dialogues at even distances; a phrase that points to a region stands in braces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="OUT of a finished run")
    parser.add_argument("--n", type=int, default=30, help="dialogues to print")
    parser.add_argument("--mix", default="default", help="task mix (YAML, or `default`)")
    parser.add_argument("--seed", type=int, help="of the choices, in place of that of the mix")
    options = parser.parse_args()
    mix = read_mix(options.mix)
    if options.seed is not None:
        mix = mix.model_copy(update={"seed": options.seed})
    made = list(instructed(samples(Store(options.out), None), mix))
    step = max(len(made) / options.n, 1)
    for number in range(min(options.n, len(made))):
        value = made[int(number * step)].value
        print(f"\n[{number + 1}] {value['key']}")
        for turn, said in enumerate(value["turns"] or ()):
            text = said["text"]
            marked = [m for m in value["mentions"] if m["turn"] == turn]
            for one in sorted(marked, key=lambda m: -m["start"]):
                text = f"{text[: one['start']]}{{{one['text']}}}{text[one['end'] :]}"
            print(f"  {said['role']:>9}: {text}")


if __name__ == "__main__":
    main()
