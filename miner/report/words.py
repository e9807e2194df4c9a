"""What statuses, reasons and scores mean, in a reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from miner.core.wording import counted

STATUS = {
    "written": "in the shards, with at least one mask or a confirmed negative",
    "duplicate": "the same picture as a better grounded one",
    "no_entity": "the caption names no structure that could be outlined",
    "no_mask": "no segmenter drew a mask of what it names",
    "rejected": "masks were drawn, none stood up to the tests",
    "unreadable": "picture, slide or row can't be read",
    "excluded": "left out on purpose",
}

# Reasons by the status of the caption rows that have them; "" are reasons that only masks have.
# Every mask without a verdict to be kept has a reason too, one of no_mask, rejected or "". What
# follows a colon names the model, score, flag or stratum.
REASONS: Mapping[str, Mapping[str, str]] = {
    "duplicate": {
        "exact": "same bytes or pixels as another picture",
        "near": "the same field as another picture, encoded, scaled, cropped, turned or drawn upon",
        "semantic": "its embedding and its thumbnail are nearly those of another picture",
        "caption": "a better grounded picture has the same caption",
    },
    "no_entity": {
        "no_mention": "it names no structure",
        "empty_caption": "the caption is empty",
        "panel": "it speaks of panels, and not of as many as the figure has",
        "question": "nothing but questions names anything",
        "no_text": "an annotated picture without a text, and none is composed",
        "only_negated": "everything it names is denied",
        "only_uncertain": "everything it names is in doubt",
        "finding": "what it names does not occur in this organ",
        "scale": "too small to be outlined at this magnification",
        "specimen": "a layer of tissue, in a smear",
        "vague": "names no particular structure",
    },
    "no_mask": {
        "unsupported": "no segmenter knows the concept",
        "outside_panel": "the mask lies in other panels than the words speak of",
        "unannotated": "the publisher's experts did not look for it in this picture",
        "empty": "the segmenter found nothing",
        "out_of_support": "the picture is unlike what the models know",
        "failed": "the segmenter failed on this picture, with the error that follows",
        "unreadable": "the picture could not be decoded again",
        "not_asked": "no segmenter was asked",
        "no_outline": "the annotation has no outline that can be drawn",
        "another_size": "the mask was drawn on a picture of another size",
        "ambiguous_colours": "the label map's colours can be read in two ways",
        "ambiguous_name": "mask files of several pictures have this name",
        "unreadable_mask": "the mask's file cannot be read",
    },
    "rejected": {
        # the shape of the mask
        "whole_image": "the mask is the whole picture",
        "speck": "the mask is a speck, or mostly specks",
        "border_cut": "the outline follows the picture's border",
        "implausible_size": "objects too large or small for the concept",
        "implausible_count": "more objects than fit side by side",
        "not_an_object": "one sprawling patch for a countable thing",
        "not_a_region": "many small blobs for a region",
        "outside_parent": "lies outside of what it is a part of",
        "out_of_support": "the picture is unlike what the models know",
        # the tests
        "same_mask": "another phrase got the same mask and scores higher",
        "outscored": "another segmenter's mask of it scores higher",
        "low_score": "its probability to be right is below the threshold",
        "high_fdr": "beyond the stated rate of wrong masks",
        "uncertifiable": "no threshold reaches the stated precision for this concept",
        "undefined": "neither agreement nor KS could be computed, and no lead over other tissues",
        "not_finite": "a stored score is NaN or infinite",
        "at_least": "below the raw threshold of the score that follows",
        "at_most": "above the raw threshold of the score that follows",
    },
    "unreadable": {
        # the row
        "wrong_number_of_fields": "the row has more or fewer fields than the table",
        "malformed_csv": "the row is no CSV",
        "unterminated_quote": "a quote opens and does not close",
        "malformed_json": "the entry is no JSON",
        "no_json_object": "the entry is JSON, but no object",
        "caption_is_no_text": "the caption is a number, a list or the like",
        "missing_text": "the caption's file is not there",
        "bad_utf8": "the row is not UTF-8",
        "bad_name": "the row names no file",
        "bad_position": "the row's position is no number",
        "no_wsi_id": "the row names no slide",
        "no_image": "the dialogue is about no picture",
        "several_images": "the dialogue is about several pictures",
        "no_dialogue": "the record holds no turns, or none that can be read",
        "turn_is_no_text": "a turn is a number, a list or the like",
        "unknown_role": "a turn is of nobody that is known",
        "no_answer": "the question has no answer",
        "failed": "reading it failed, with the error that follows",
        # the picture
        "missing_image": "the picture is not there",
        "unreadable_file": "the file cannot be opened, or is far too large",
        "outside_folder": "a path or link that leads out of the corpus's folder and `image_paths`",
        "empty_file": "the file is empty",
        "not_an_image": "the file is no picture",
        "truncated": "the file ends too early",
        "damaged": "the picture does not match its own checksum",
        "animated": "the file has several pictures",
        "unsupported_format": "a picture in a format that is not read",
        "unsupported_pixels": "pixels of a kind or range that 8 bits cannot show",
        # the container
        "crc_error": "the zip's member does not unpack to its checksum",
        "encrypted_member": "the zip's member is encrypted",
        "ambiguous_name": "members of the zip have this name and differ",
        "unsupported_compression": "the member's compression is not read",
        "member_too_large": "the member is too large to be a picture",
        "truncated_zip": "the zip ends before the picture does",
        "truncated_tar": "the tar ends before the sample does",
        "damaged_row_group": "the parquet file's row group cannot be read",
        # the annotation
        "missing_masks": "no outlines lie beside the picture",
        "damaged_array": "the array's header is none, or it holds no plain numbers in C order",
        "truncated_array": "the array ends before the tile does",
        "malformed_xml": "the outlines are no XML, or it declares entities",
        "mat_v7_3": "a MATLAB file of version 7.3: save it with -v7",
        "damaged_mat": "the MATLAB file is damaged or lacks what its layout has",
        "unreadable_mask": "the label map is no picture of whole numbers",
        "unknown_class": "what is outlined is no concept",
        "another_size": "picture and outlines are of different sizes",
        "fractional_ids": "ids of objects are negative or no whole numbers",
        # the slide
        "missing_slide": "the slide is not there",
        "slide_failed": "the slide cannot be opened or read",
        "outside_slide": "the patch lies outside of its slide",
        # the work; `miner run --retry-isolated` tries such rows once more
        "worker_died": "the process that worked on it crashed",
        "out_of_memory": "working on it took more memory than there is",
        "timed_out": "working on it did not end, see `runner.unit_timeout_s`",
        "raised": "a stage failed, with the error that follows",
    },
    "excluded": {
        "not_histology": "the publisher says it is no histology",
        "impurity": "the publisher's cleaner raised the flag that follows",
        "caption_too_long": "the caption is longer than `max_caption_chars`",
        "too_many_pixels": "the picture is larger than `max_pixels`",
        "white_patch": "the patch is empty glass",
        "protected": "like a picture, or of a patient, of the protected set that follows",
        "bridges_splits": "its group shares pictures with groups of several splits",
        "share": "too much of the stratum that follows beside the others",
        "cap": "the stratum that follows is full",
        "audit": "an audit left out all of its masks",
    },
    "": {
        "decoy": "asked for as something that should not be there",
        "negated": "the caption denies it",
        "uncertain": "the caption is in doubt about it",
        "audit": "an auditor called it wrong, or its concept fell short in the audit",
    },
}

# Scores with a histogram, and what they say; only those that a run has are drawn.
SHOWN = {
    "score": "probability that the mask is right",
    "confidence": "the segmenter's own confidence",
    "clip_prob": "share of the phrase among its rivals (agreement)",
    "clip_margin_sibling": "agreement above the best sibling phrase",
    "clip_margin_complement": "agreement above the rest of the picture",
    "ks_d_norm": "KS distance to the concept's reference",
    "ks_margin": "KS distance of the next concept minus its own",
    "ks_rim": "KS contrast across the outline",
    "geometry_area_fraction": "share of the picture that the mask covers",
}


# What the two numbers of a verdict say; printed beside them.
SCORE = (
    "probability that this mask is right, that its IoU with an expert's is at least .5, by masks "
    "that experts labelled"
)
Q_VALUE = (
    "share of wrong masks to be expected among all of this run that score at least as high, the "
    "larger of two estimates; it speaks of them together, not of this one, is large where a "
    "run has few masks or decoys, and decides only where filters.fdr is set"
)


def explain(reason: str) -> str:
    """What a reason means; empty for one that nothing here knows."""
    name = reason.partition(":")[0]
    return next((words[name] for words in REASONS.values() if name in words), "")


def asked(calibration: Mapping[str, Any]) -> str:
    """What the run was told about wrong masks, see `filters.page.calibration_page`."""
    if not calibration["target"]:
        return "No precision and no rate: raw thresholds alone decide."
    what, value = calibration["target"]
    if what == "fdr":
        return (
            f"filters.fdr = {value:g}: as many masks of this run as keep the expected share of "
            f"wrong ones at {value:.0%} or below."
        )
    return (
        f"filters.precision = {value:g}: a mask is accepted from the score on at which at least "
        f"{value:.0%} of the labelled masks were right. The threshold is the same in every run."
    )


def expected(calibration: Mapping[str, Any]) -> str:
    """How many accepted masks should be right, by the estimate that governs."""
    rates = calibration["fdr"]
    right, accepted = rates["right"], rates["accepted"]
    if right is None:
        return "No mask was accepted, so there is nothing to expect."
    what, value = calibration["target"] or ("", 0.0)
    if what == "fdr" and rates["governs"] == "decoy":
        return (
            f"Of the {counted(accepted, 'accepted mask')}, each counted once however many captions "
            f"name it, at most {rates['decoy']:.1%} are wrong, as decoys tell. A stated rate rests "
            "on the larger of two estimates, which is this one here."
        )
    text = (
        f"Of the {counted(accepted, 'accepted mask')}, each counted once however many captions "
        f"name it, about {right['expected']:,} should be right "
        f"({right['expected'] / accepted:.0%}), the sum of their scores. By chance it is "
        f"{right['least']:,} to {right['most']:,} ({right['least'] / accepted:.0%} to "
        f"{right['most'] / accepted:.0%}) in 95 of 100 such runs."
    )
    if what != "precision" or right["expected"] / accepted >= value:
        return text
    if right["most"] / accepted >= value:
        return f"{text} The {value:.0%} asked for lie within that."
    return (
        f"{text} That is less than the {value:.0%} asked for: more of these masks lie just above "
        f"the threshold than of the labelled ones. miner refilter OUT --set "
        f"filters.fdr={1 - value:g} holds the rate in this run."
    )


def other_estimate(calibration: Mapping[str, Any]) -> str:
    """The estimate that does not govern, and how it relates to the one that does; may be empty."""
    rates, what = calibration["fdr"], (calibration["target"] or ("", 0.0))[0]
    if rates["right"] is None or rates["decoy"] is None:
        return ""
    if what == "fdr" and rates["governs"] == "decoy":
        return (
            f"By their scores {rates['right']['expected']:,} of the {rates['accepted']:,} should "
            "be right. Scores come from labelled masks of other pictures, decoys from this run: "
            "where decoys pass that should not, the run is told by them."
        )
    return (
        f"{counted(rates['decoys'], 'phrase')} that cannot be in their picture were asked for too. "
        f"By those that pass where accepted masks do, one more added, at most {rates['decoy']:.1%} "
        "of the accepted are wrong. This bound and the number above answer one question in two "
        "ways: the number is what labelled masks lead one to expect, the bound what can be said "
        "without them; with few decoys it lies far above what is likely. "
        + (
            "It is the smaller one here, so the scores govern."
            if what == "fdr"
            else "No verdict rests on it: thresholds come from labelled masks."
        )
    )


# Why a concept is known to be there or not, or is not, beside the reasons of masks.
KNOWN = {
    "region": "a region stands for it",
    "negated": "the caption denies it, and nothing was found",
    "decoy": "searched in vain, where it would be found or cannot be",
    "uncertain": "the caption is in doubt",
    "found": "the caption does not affirm it, but something was found",
    "missed": "nothing was found, but it is missed too often for that to tell",
    "kin": "a kind, part or whole of something that is there",
    "at_home": "not found, but this organ may well show it",
    "unmeasured": "not found, but nobody knows how often it is missed",
    "affirmed_elsewhere": "another caption of the picture affirms it",
    "denied_elsewhere": "another caption of the picture denies it",
}


def known(why: str) -> str:
    """What is known of a concept, with its meaning: `missed: nothing was found, but …`."""
    meaning = KNOWN.get(why) or explain(why)
    return f"{why}: {meaning}" if meaning else why


def level(name: str) -> str:
    """Whose labelled masks a calibration is made of, in words."""
    kind, _, what = name.partition(":")
    if kind == "concept":
        return f"{what} alone"
    return f"all of the family {what}" if kind == "family" else "all concepts together"


def threshold(limits: Mapping[str, float | None], name: str | None) -> str:
    """From which score on masks of a calibration are accepted."""
    if name is None or name not in limits:
        return ""
    limit = limits[name]
    return "no score reaches it" if limit is None else f"{limit:.3f}"
