"""The annotated sets as kinds of corpora: licence, title, and how their authors ask to be cited."""

from __future__ import annotations

from typing import Literal

from miner.corpora.expert.layouts import layout_of
from miner.corpora.expert.reader import ExpertSet, ExpertSetConfig
from miner.corpora.part import CorpusPart

CC_BY_NC_SA = "CC BY-NC-SA 4.0"


class PanNukeConfig(ExpertSetConfig):
    """PanNuke."""

    kind: Literal["pannuke"]
    license: str = CC_BY_NC_SA


def _part(settings: type[ExpertSetConfig], kind: str, title: str, cite: str) -> CorpusPart:
    return CorpusPart(
        kind=kind,
        Settings=settings,
        build=lambda config, threads: ExpertSet(config),
        detect=lambda at: {} if not at.file and layout_of(at.folder) == kind else None,
        title=title,
        cite=cite,
        configuration="expert.yaml",
    )


PARTS = {
    part.kind: part
    for part in (
        _part(
            PanNukeConfig,
            "pannuke",
            "PanNuke",
            "Gamper et al., PanNuke Dataset Extension, Insights and Baselines, arXiv 2003.10778, "
            "2020",
        ),
    )
}
