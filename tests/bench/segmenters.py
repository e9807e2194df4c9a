"""BiomedParse: parity with the official code, broken rules, speed and memory at full size.

`python -m tests.bench.segmenters [parity] [mutations] [speed]` prints the named parts, or all.
What needs the reference material beside the checkout is skipped where it is absent. Times are
processor seconds on one thread, so that other work on the machine does not show in them.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared" / "biomedparse"
GB = 1e9

PROMPTS = (
    "neoplastic cells in breast pathology",
    "inflammatory cells in breast pathology",
    "connective tissue cells in breast pathology",
    "epithelial cells in breast pathology",
    "glandular structure in colon pathology",
    "neoplastic cells",
    "inflammatory cells",
    "connective tissue cells",
    "epithelial cells",
    "nuclei",
)


def parity() -> bool:
    """Print the differences from the official recording of a reduced model."""
    import torch

    from segmenters.biomedparse import BiomedParse
    from tests.segmenters.biomedparse.recorded import differences

    path = SHARED / "reference_small.pt"
    if not path.exists():
        print("parity: skipped, no reference beside the checkout")
        return True
    reference = torch.load(path, weights_only=True)
    found = differences(BiomedParse.from_checkpoint(path), reference)
    worst = {
        "probability, prompts one by one": found["single_mask_prob"],
        "probability, joint run": found["out.mask_prob"],
        "mask logits": found["out.pred_masks"],
        "matched queries": found["out.matched_id"],
    }
    rest = max(v for k, v in found.items() if not k.endswith(("mask_prob", "pred_masks")))
    print(f"parity: {len(found)} records against {reference['source']}")
    for name, (difference, allowed) in {**worst, "every other record": rest}.items():
        print(f"  {name:34} {difference:.1e} (allowed {allowed:.0e})")
    return all(difference <= allowed for difference, allowed in found.values())


def mutations() -> bool:
    """Print how many broken rules the tests notice."""
    from tests.bench.mutations import run

    results = run()
    missed = [rule for rule, noticed in results if not noticed]
    print(f"mutations: {len(results) - len(missed)} of {len(results)} broken rules are noticed")
    for rule in missed:
        print(f"  MISSED {rule}")
    return not missed


def speed() -> bool:
    """Print load time, peak memory and the time per picture and prompt at full size."""
    if not (SHARED / "seeded_weights.py").exists():
        print("speed: skipped, no listing of the released tensors beside the checkout")
        return True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "biomedparse_v1.pt"
        _in_process("write", path)
        memory = _in_process("memory", path)
        times = _in_process("times", path)
    peak = memory["peak"] / (memory["weights"] + memory["activations"])
    faster = times["prototype_encode"] / times["encode"]
    gain = 10 * times["single"] / times["ten"]
    print("speed: full size, seeded weights, fp32, one thread, processor seconds")
    print(f"  load {memory['load']:.1f} s")
    print(
        f"  peak memory {memory['peak'] / GB:.2f} GB = {peak:.2f} x (weights "
        f"{memory['weights'] / GB:.2f} GB + activations {memory['activations'] / GB:.2f} GB)"
    )
    print(f"  encode {times['encode']:.1f} s, {faster:.2f} x as fast as the prototype")
    print(
        f"  ten prompts on one picture {times['ten']:.1f} s, {gain:.1f} x faster than ten calls "
        f"of {times['single']:.1f} s with encoding"
    )
    print(f"  largest difference from the prototype in probability {times['difference']:.1e}")
    return memory["load"] < 20 and peak < 1.3 and gain >= 5 and times["difference"] < 1e-4


def _in_process(part: str, path: Path) -> dict[str, float]:
    """Run a part in a fresh process: its peak memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.segmenters", f"--{part}", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _shared_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SHARED / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _write(path: Path) -> dict[str, float]:
    import torch

    listing = SHARED / "state_dict_keys_full.json"
    torch.save(_shared_module("seeded_weights").seeded_state_dict(str(listing), 0), path)
    return {}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _memory(path: Path) -> dict[str, float]:
    """Load time in wall seconds, and peak memory of load, encode and ten prompts.

    Activations are what the largest step needs at the very least: the four backbone maps and the
    features kept for decoding, and in the first stage the input, hidden and output maps of a
    block's MLP.
    """
    import torch

    torch.set_num_threads(1)
    from segmenters.biomedparse import BiomedParse
    from tests.segmenters.biomedparse.tiny import picture

    baseline = _peak()
    start = time.monotonic()
    model = BiomedParse.from_checkpoint(path)
    load = time.monotonic() - start
    features = model.encode(picture(600, 800))
    model.decode(features, PROMPTS)
    sizes = model.sizes
    finest = (sizes.image_size // 4) ** 2 * sizes.embed_dim * 4.0
    kept = [features.memory.mask_features, *features.memory.levels, *features.memory.level_features]
    return {
        "load": load,
        "peak": _peak() - baseline,
        "weights": float(sum(4 * p.numel() for p in model.network.parameters())),
        "activations": finest * (2 + sizes.mlp_ratio * 2) + sum(4.0 * t.numel() for t in kept),
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _times(path: Path) -> dict[str, float]:
    import torch
    from PIL import Image

    torch.set_num_threads(1)
    from segmenters.biomedparse import BiomedParse
    from tests.segmenters.biomedparse.recorded import token_ids
    from tests.segmenters.biomedparse.tiny import picture

    image = picture(600, 800)
    model = BiomedParse.from_checkpoint(path)
    prototype = _shared_module("prototype").BiomedParseV1
    with torch.device("meta"):
        peer = prototype().eval()
    tensors = torch.load(path, weights_only=True, mmap=True)
    peer.load_state_dict(prototype.filter_state_dict(tensors), strict=True, assign=True)
    scale = {"mean": (123.675, 116.280, 103.530), "std": (58.395, 57.120, 57.375)}
    for name, values in scale.items():
        setattr(peer, name, torch.tensor(values).view(3, 1, 1))

    encode, theirs = [], []
    for _ in range(2):  # the better of two, interleaved
        seconds, features = _timed(lambda: model.encode(image))
        encode.append(seconds)
        seconds, encoded = _timed(lambda: peer.encode_image(Image.fromarray(image)))
        theirs.append(seconds)
    ten, answer = _timed(lambda: model.decode(features, PROMPTS))
    one, _ = _timed(lambda: model.decode(features, PROMPTS[:1]))
    ids, mask = token_ids(model, PROMPTS[:1])
    expected = peer.segment(Image.fromarray(image), ids, mask, 1024, encoded=encoded)
    return {
        "encode": min(encode),
        "prototype_encode": min(theirs),
        "ten": min(encode) + ten,
        "single": min(encode) + one,
        "difference": float((answer.prob[0] - expected["prob"][0]).abs().max()),
    }


PARTS = {"parity": parity, "mutations": mutations, "speed": speed}
STEPS = {"--write": _write, "--memory": _memory, "--times": _times}


def main() -> None:
    """Print the parts named on the command line, or all."""
    named = sys.argv[1:] or list(PARTS)
    if named[0] in STEPS:
        print(json.dumps(STEPS[named[0]](Path(named[1]))))
        return
    sys.exit(0 if all([PARTS[name]() for name in named]) else 1)


if __name__ == "__main__":
    main()
