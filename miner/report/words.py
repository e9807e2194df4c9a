"""What statuses, reasons and scores mean, in a reader's words."""

from __future__ import annotations

STATUS = {
    "written": "in the shards, with at least one mask or a confirmed negative",
    "duplicate": "the same picture as a better grounded one",
    "no_entity": "the caption names no structure that could be outlined",
    "no_mask": "no segmenter drew a mask of what it names",
    "rejected": "masks were drawn, none stood up to the tests",
    "unreadable": "picture, slide or row can't be read",
    "excluded": "left out on purpose",
}

# What follows a colon names the model, score or stratum.
REASON = {
    # nothing to ask for
    "no_mention": "it names no structure",
    "empty_caption": "the caption is empty",
    "only_negated": "everything it names is denied",
    "only_uncertain": "everything it names is in doubt",
    "finding": "what it names does not occur in this organ",
    "scale": "too small to be outlined at this magnification",
    "specimen": "a layer of tissue, in a smear",
    "vague": "names no particular structure",
    # the picture or row
    "missing_image": "the picture is not there",
    "missing_slide": "the slide is not there",
    "outside_slide": "the patch lies outside of its slide",
    "white_patch": "the patch is empty glass",
    "not_an_image": "the file is no picture",
    "empty_file": "the file is empty",
    "truncated": "the file ends too early",
    "bad_name": "the row names no file",
    "bad_position": "the row's position is no number",
    "not_histology": "the publisher says it is no histology",
    # no mask
    "empty": "the segmenter found nothing",
    "unsupported": "no segmenter knows the concept",
    "out_of_support": "the picture is unlike what the models know",
    # the shape of the mask
    "whole_image": "the mask is the whole picture",
    "speck": "the mask is a speck, or mostly specks",
    "border_cut": "the outline follows the picture's border",
    "implausible_size": "objects too large or small for the concept",
    "implausible_count": "more objects than fit side by side",
    "not_an_object": "one sprawling patch for a countable thing",
    "not_a_region": "many small blobs for a region",
    "outside_parent": "lies outside of what it is a part of",
    # the tests
    "same_mask": "another phrase got the same mask and scores higher",
    "outscored": "another segmenter's mask of it scores higher",
    "low_score": "its probability to be right is below the threshold",
    "high_fdr": "beyond the stated rate of wrong masks",
    "uncertifiable": "no threshold reaches the stated precision for this concept",
    "undefined": "neither agreement nor KS could be computed",
    "at_least": "below a raw threshold",
    "at_most": "above a raw threshold",
    # after the tests
    "exact": "same bytes as another picture",
    "semantic": "nearly the same as another picture",
    "cap": "its stratum is full",
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


def explain(reason: str) -> str:
    """What a reason means, empty where its name says it all."""
    return REASON.get(reason, REASON.get(reason.split(":")[0], ""))
