"""How many masks of the run each judged one stands for, and which ones nobody speaks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any


def weights(audit: Mapping[str, Any], judged: Collection[str]) -> dict[str, float]:
    """Weights of the judged masks of a sample, > 0, by item.

    The inverse probability to be drawn, times drawn over judged of the same concept and stratum
    (weighting classes: G. Kalton, Compensating for Missing Survey Data, 1983): what was drawn and
    not judged is made up for by its own concept, and by nothing where nobody judged any of that.

    Args:
        audit: content of audit.json.
        judged: items with a judgement; planted ones get no weight.
    """
    real = [i for i in audit["items"] if i["control"] is None]
    drawn = Counter(i["stratum"] for i in real)
    there = Counter((i["stratum"], i["concept"]) for i in real)
    known = [i for i in real if i["item"] in judged]
    answered = Counter((i["stratum"], i["concept"]) for i in known)
    found = {}
    for item in known:
        stratum, cell = item["stratum"], (item["stratum"], item["concept"])
        inverse = audit["strata"][stratum] / drawn[stratum]
        found[item["item"]] = inverse * there[cell] / answered[cell]
    return found


def unjudged(audit: Mapping[str, Any], judged: Collection[str]) -> dict[str, int]:
    """Masks of the run where nobody judged one, by "kept/concept" and by stratum of the draw.

    A concept counts whether or not a mask of it was drawn: in a stratum of rare ones those that
    were say nothing of it.

    Args:
        audit: content of audit.json.
        judged: items with a judgement.
    """
    known = [i for i in audit["items"] if i["item"] in judged and i["control"] is None]
    concepts = {i["concept"] for i in known if i["kept"]}
    strata = {i["stratum"] for i in known}
    if audit["by"] == "concept":  # each kept one is a concept, or several that are told apart here
        strata |= {name for name in audit["strata"] if name.startswith("kept/")}
    silent = {f"kept/{c}": n for c, n in audit["concepts"].items() if c not in concepts}
    silent |= {name: n for name, n in audit["strata"].items() if n and name not in strata}
    return dict(sorted(silent.items()))
