"""The annotated sets as kinds of corpora: licence, title, and how their authors ask to be cited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from miner.corpora.expert.layouts import layout_of
from miner.corpora.expert.reader import ExpertSet, ExpertSetConfig
from miner.corpora.part import CorpusPart, Listing

CC_BY_NC_SA = "CC BY-NC-SA 4.0"
CC0 = "CC0 1.0"
CC_BY = "CC BY 4.0"


class PanNukeConfig(ExpertSetConfig):
    """PanNuke: nuclei of five classes in 19 tissues."""

    kind: Literal["pannuke"]
    license: str = CC_BY_NC_SA


class LizardConfig(ExpertSetConfig):
    """Lizard: nuclei of six classes in the colon."""

    kind: Literal["lizard"]
    license: str = CC_BY_NC_SA


class ConsepConfig(ExpertSetConfig):
    """CoNSeP: nuclei of seven classes in colorectal adenocarcinomas."""

    kind: Literal["consep"]


class MonusegConfig(ExpertSetConfig):
    """MoNuSeg: nuclei of several organs."""

    kind: Literal["monuseg"]
    license: str = CC_BY_NC_SA


class MonusacConfig(ExpertSetConfig):
    """MoNuSAC: nuclei of four classes in four organs."""

    kind: Literal["monusac"]
    license: str = CC_BY_NC_SA


class NuclsConfig(ExpertSetConfig):
    """NuCLS: nuclei of breast carcinomas, boxes and outlines."""

    kind: Literal["nucls"]
    license: str = CC0


class PanoptilsConfig(ExpertSetConfig):
    """PanopTILs: regions and nuclei of breast carcinomas."""

    kind: Literal["panoptils"]


class SegpathConfig(ExpertSetConfig):
    """SegPath: what one antibody marks in a restained section."""

    kind: Literal["segpath"]


class BcssConfig(ExpertSetConfig):
    """BCSS: regions of breast carcinomas."""

    kind: Literal["bcss"]
    license: str = CC0


class GlasConfig(ExpertSetConfig):
    """GlaS: glands of the colon."""

    kind: Literal["glas"]


class TnbcConfig(ExpertSetConfig):
    """TNBC: nuclei of triple-negative breast carcinomas."""

    kind: Literal["tnbc"]
    license: str = CC_BY


class ExpertConfig(ExpertSetConfig):
    """Pictures with label maps and a table of classes, or any of the other annotated sets."""

    kind: Literal["expert"]


def _part(
    settings: type[ExpertSetConfig], kind: str, title: str = "", cite: str = ""
) -> CorpusPart:
    def detect(at: Listing) -> Mapping[str, Any] | None:
        return {} if not at.file and layout_of(at.folder) == kind else None

    return CorpusPart(
        kind=kind,
        Settings=settings,
        build=lambda config, threads: ExpertSet(config),
        detect=detect,
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
        _part(
            LizardConfig,
            "lizard",
            "Lizard",
            "Graham et al., Lizard: A Large-Scale Dataset for Colonic Nuclear Instance "
            "Segmentation and Classification, ICCV Workshops 2021",
        ),
        _part(
            ConsepConfig,
            "consep",
            "CoNSeP",
            "Graham et al., HoVer-Net: Simultaneous Segmentation and Classification of Nuclei in "
            "Multi-Tissue Histology Images, Medical Image Analysis 2019",
        ),
        _part(
            MonusegConfig,
            "monuseg",
            "MoNuSeg",
            "Kumar et al., A Multi-Organ Nucleus Segmentation Challenge, IEEE Transactions on "
            "Medical Imaging 2020",
        ),
        _part(
            MonusacConfig,
            "monusac",
            "MoNuSAC",
            "Verma et al., MoNuSAC2020: A Multi-Organ Nuclei Segmentation and Classification "
            "Challenge, IEEE Transactions on Medical Imaging 2021",
        ),
        _part(
            NuclsConfig,
            "nucls",
            "NuCLS",
            "Amgad et al., NuCLS: A Scalable Crowdsourcing Approach and Dataset for Nucleus "
            "Classification and Segmentation in Breast Cancer, GigaScience 2022",
        ),
        _part(
            PanoptilsConfig,
            "panoptils",
            "PanopTILs",
            "Liu et al., A Panoptic Segmentation Dataset and Deep-Learning Approach for "
            "Explainable Scoring of Tumor-Infiltrating Lymphocytes, npj Breast Cancer 2024",
        ),
        _part(
            SegpathConfig,
            "segpath",
            "SegPath",
            "Komura et al., Restaining-Based Annotation for Cancer Histology Segmentation to "
            "Overcome Annotation-Related Limitations among Pathologists, Patterns 2023",
        ),
        _part(
            BcssConfig,
            "bcss",
            "BCSS",
            "Amgad et al., Structured Crowdsourcing Enables Convolutional Segmentation of "
            "Histology Images, Bioinformatics 2019",
        ),
        _part(
            GlasConfig,
            "glas",
            "GlaS",
            "Sirinukunwattana et al., Gland Segmentation in Colon Histology Images: The GlaS "
            "Challenge Contest, Medical Image Analysis 2017",
        ),
        _part(
            TnbcConfig,
            "tnbc",
            "TNBC",
            "Naylor et al., Segmentation of Nuclei in Histopathology Images by Deep Regression of "
            "the Distance Map, IEEE Transactions on Medical Imaging 2019",
        ),
        _part(ExpertConfig, "expert"),
    )
}
