"""A caption with its mentions in colour, and why each can or cannot be grounded."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ner.mentions import Fact, Mention

STYLES = {"affirmed": "bold green", "negated": "bold red", "uncertain": "bold yellow"}


def show(text: str, mentions: Sequence[Mention], facts: Sequence[Fact], console: Console) -> None:
    """Print a caption, a table of its mentions and one of its facts.

    Args:
        text: the caption as given.
        mentions: what was found in it, in order.
        facts: what the caption says about the picture.
        console: where to print.
    """
    coloured = Text(text)
    for fact in facts:
        coloured.stylize("underline", fact.start, fact.end)
    for mention in mentions:
        ungrounded = " dim" if mention.polarity == "affirmed" and not mention.groundable else ""
        coloured.stylize(STYLES[mention.polarity] + ungrounded, mention.start, mention.end)
    console.print(coloured, soft_wrap=True)
    if not mentions:
        console.print("no mention of a structure")
    else:
        several = any(len(mention.sources) > 1 for mention in mentions)
        table = Table("span", "phrase", "concept", "polarity", "groundable", box=box.SIMPLE)
        if several:
            table.add_column("votes")
        for mention in mentions:
            table.add_row(
                f"{mention.start}:{mention.end}",
                Text(mention.text),
                f"{mention.concept} ({mention.kind})",
                Text(mention.polarity, STYLES[mention.polarity]),
                "yes" if mention.groundable else f"no: {explain(mention, facts)}",
                *([" ".join(mention.votes)] if several else []),
            )
        console.print(table)
    for fact in facts:
        console.print(f"{fact.kind}: {fact.value} ({fact.start}:{fact.end})", highlight=False)


def explain(mention: Mention, facts: Sequence[Fact]) -> str:
    """Return why a mention is not groundable, in words."""
    sites = ", ".join(sorted({fact.value for fact in facts if fact.kind == "site"}))
    scale = ", ".join(sorted({fact.value for fact in facts if fact.kind == "magnification"}))
    return {
        "negated": "said to be absent",
        "uncertain": "possible, asked for, compared with or not to be judged",
        "finding": f"does not belong to the site ({sites})",
        "scale": f"too small at this magnification ({scale})",
        "specimen": "layers cannot be seen in such a specimen",
        "vague": "names no particular structure",
    }.get(mention.reason or "", mention.reason or "")
