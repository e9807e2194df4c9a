"""Loader for SAM 3's training that asks of a picture only what is known of it.

In a training configuration:

    coco_json_loader:
      _target_: sam3_loader.SacoTraining
      _partial_: true

It reads saco.json, one entry per (picture, phrase), and gives every picture its own phrases: those
with objects, and those confirmed to be absent. `is_exhaustive` is false where the objects may not
be all (it changes the loss with `weak_loss: True`).
"""

import json
from collections import defaultdict


class SacoTraining:
    """The three methods that `Sam3ImageDataset` calls.

    Args:
        annotation_file: saco.json.
    """

    def __init__(self, annotation_file, **_):
        with open(annotation_file, encoding="utf-8") as file:
            saco = json.load(file)
        self._answers = defaultdict(list)
        for annotation in saco["annotations"]:
            self._answers[annotation["image_id"]].append(annotation)
        pictures = defaultdict(list)
        for pair in saco["images"]:
            pictures[pair["file_name"]].append(pair)
        self._pictures = list(pictures.values())

    def getDatapointIds(self):
        """Positions of the pictures."""
        return list(range(len(self._pictures)))

    def loadImagesFromDatapoint(self, idx):
        """The one picture of a datapoint."""
        pair = self._pictures[idx][0]
        number = {"original_img_id": pair["id"], "coco_img_id": pair["id"]}
        return [{"id": 0, "file_name": pair["file_name"], **number}]

    def loadQueriesAndAnnotationsFromDatapoint(self, idx):
        """Queries of the picture, and objects with normalised boxes x, y, width, height."""
        import torch

        queries: list[dict] = []
        annotations: list[dict] = []
        for pair in self._pictures[idx]:
            ids = []
            for answer in self._answers[pair["id"]]:
                ids.append(len(annotations))
                annotations.append(
                    {
                        "id": ids[-1],
                        "object_id": ids[-1],
                        "image_id": 0,
                        "bbox": torch.tensor(answer["bbox"], dtype=torch.float32),
                        "area": answer["area"],
                        "segmentation": answer["segmentation"],
                        "is_crowd": 0,
                    }
                )
            queries.append(
                {
                    "id": len(queries),
                    "original_cat_id": int(pair["queried_category"]),
                    "object_ids_output": ids,
                    "query_text": pair["text_input"],
                    "query_processing_order": 0,
                    "ptr_x_query_id": None,
                    "ptr_y_query_id": None,
                    "query_type": 0,
                    "image_id": 0,
                    "input_box": None,
                    "input_box_label": None,
                    "input_points": None,
                    "is_exhaustive": bool(pair["is_instance_exhaustive"]),
                    "is_pixel_exhaustive": bool(pair["is_pixel_exhaustive"]),
                    "within_stage_order": -1,
                }
            )
        return queries, annotations
