"""The model file of a line detector: one ONNX file that is read without torch."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.config import recipe_id
from serialread.detection.line_finder import DETECTOR_KEY
from serialread.errors import CheckpointError, writing_errors
from serialread.models.detector import LineDetector
from serialread.training.checkpoint import digest, fused
from serialread.training.detector_training import load_detector
from serialread.training.onnx_export import compact


class _Deployed(nn.Module):
    """The detector with the outputs of a model file."""

    def __init__(self, detector: LineDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.detector(pictures)
        return torch.sigmoid(maps.core), F.normalize(maps.direction, dim=1, eps=1e-4), maps.height


def export_detector(weights: Path, out: Path) -> Path:
    """Write the model file of a line detector.

    Input ``pictures`` float32 [B, 1, H, W], grey, 0 black .. 1 white, H and W multiples of 32. Outputs for
    cells of 4 x 4 px: ``core`` [B, h, w], ``direction`` [B, 2, h, w] and ``height`` [B, h, w], as in
    ``serialread.detection.Maps``. Weights are 16-bit, arithmetic is 32-bit.

    Args:
        weights: a detector.safetensors.
        out: the file to write.

    Raises:
        CheckpointError: no weights, or the file cannot be written.
    """
    detector, recipe = load_detector(weights)
    detector = fused(detector)
    with torch.no_grad():
        for weight in detector.parameters():
            weight.copy_(weight.half().float())
    about = {"model_id": f"{recipe.name}-{digest(detector.state_dict())}", "recipe_id": recipe_id(recipe)}
    proto = _traced(_Deployed(detector).eval())
    compact(proto.graph)
    del proto.metadata_props[:]
    proto.metadata_props.add(key=DETECTOR_KEY, value=json.dumps(about))
    with writing_errors(out, CheckpointError, "Name another file."):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(proto.SerializeToString())
    return out


def _traced(model: nn.Module) -> Any:
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    size = {axis: 32 * torch.export.Dim(name, min=2, max=128) for axis, name in ((2, "rows"), (3, "columns"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            model,
            (torch.zeros(2, 1, 96, 128),),
            dynamo=True,
            verbose=False,
            input_names=["pictures"],
            output_names=["core", "direction", "height"],
            dynamic_shapes={"pictures": {0: torch.export.Dim("batch"), **size}},
        )
    assert program is not None
    return program.model_proto
