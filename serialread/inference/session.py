"""The exported network on this machine: arrays in, arrays out.

Letters: B crops, H W px, T positions, C classes, N attention columns.
"""

import json
import os
import threading
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, assert_never

import numpy as np

from serialread.codes import Alphabet
from serialread.config import CropGeometry
from serialread.errors import CheckpointError, RecipeError
from serialread.inference.quantization import EIGHT_BITS, Ranges, foreign, quantize, ranges_beside
from serialread.records import Floats

EngineKind = Literal["openvino", "onnxruntime"]
Precision = Literal["fast", "half", "exact"]
"""``half`` lets the processor multiply in 16 bits where it can; ``fast`` lets wide convolutions multiply in 8
where ranges lie beside the file (see ``quantizing``); ``exact`` keeps 32. OnnxRuntime is always exact."""
Output = Literal["scores", "attention", "glyphs", "upright"]
OUTPUTS: tuple[Output, ...] = ("scores", "attention", "glyphs", "upright")
"""All that a model file may have; those of networks without glyph attention lack the third, those that do not
tell which way up a line lies the last."""
READING: tuple[Output, ...] = ("scores", "attention")
"""What one look needs; glyph maps tell where to look closer, and why."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model file says of itself.

    Attributes:
        model_id: name and digest of the weights.
        alphabet: its characters.
        geometry: height and width buckets that it was trained for.
        recipe_id: the training recipe.
        steps: how long it was trained.
    """

    model_id: str
    alphabet: Alphabet
    geometry: CropGeometry
    recipe_id: str
    steps: int


class _Network(Protocol):
    """A compiled network of one library."""

    def __call__(self, batch: Floats) -> tuple[Floats, ...]: ...


BATCHES = (1, 4, 16)
"""Sizes that a batch is padded to: the library keeps kernels for every shape that it met, which for all sizes
up to 16 took 1 GB and five seconds, for these 365 MB and one."""


class Engine:
    """One model file, ready to run.

    Attributes:
        card: what the file says of itself.
        outputs: what ``run`` returns, in this order.
    """

    def __init__(
        self,
        path: Path,
        kind: EngineKind = "openvino",
        precision: Precision = "fast",
        threads: int = 0,
        streams: int = 1,
        outputs: tuple[Output, ...] | None = READING,
        ranges: Ranges | None = None,
    ) -> None:
        """Open a model file that ``serialread model export`` wrote.

        Args:
            path: the .onnx file.
            kind: the library that runs it.
            precision: see ``Precision``.
            threads: processor threads; 0 takes all cores.
            streams: how many batches may run at a time, each in its share of the threads.
            outputs: what ``run`` returns, in this order; the rest of the network is not computed. None
                returns all that the file has.
            ranges: for ``fast``, instead of those beside the file.

        Raises:
            CheckpointError: no such file, not ours, without such an output, with ranges of another model, or
                the library is not installed.
        """
        data, spans = _bytes(path), None
        match kind:
            case "openvino":
                spans = (ranges or ranges_beside(path)) if precision == "fast" else None
                about, self.outputs, self._network = _openvino(
                    path, data, precision, (threads, streams), outputs, spans
                )
            case "onnxruntime":
                about, self.outputs, self._network = _onnxruntime(path, data, (threads, streams), outputs)
            case _:
                assert_never(kind)
        self.card = _card(path, about)
        if spans is not None:
            if spans.model_id != self.card.model_id:
                raise foreign(spans, path)
            self.card = replace(self.card, model_id=self.card.model_id + EIGHT_BITS)

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        """The outputs for crops [B, 1, H, W], W being one bucket; may be called from several threads.

        Log-probabilities [B, T, C], attention [B, T, N], glyph maps [B, T, h, N], log-odds [B] that the line
        lies the right way up.
        """
        count = len(batch)
        size = next((size for size in BATCHES if size >= count), count)
        padded = np.zeros((size, *batch.shape[1:]), np.float32)
        padded[:count] = batch
        return tuple(output[:count] for output in self._network(padded))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such model. Make one: serialread model export RUN --out {path}"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}. Give a model file.") from None


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a model of serialread. Make one: serialread model export RUN --out {path}"
    )


def _present(path: Path, present: Container[str], asked: tuple[Output, ...] | None) -> tuple[Output, ...]:
    """What a file is asked for, or all that it has of what there may be."""
    for output in asked or ():
        if output not in present:
            raise lacking(path, output)
    return tuple(output for output in OUTPUTS if output in present) if asked is None else asked


def lacking(path: Path, output: Output) -> CheckpointError:
    """What is said of a model file that does not have what is asked of it."""
    return CheckpointError(
        f"{path}: a model without {output}. Export it anew: serialread model export RUN --out {path}"
    )


def _card(path: Path, about: str | None) -> ModelCard:
    """The card in a model file's metadata."""
    if not about:
        raise _foreign(path)
    try:
        told = json.loads(about)
        return ModelCard(
            model_id=str(told["model_id"]),
            alphabet=Alphabet(told["alphabet"]),
            geometry=CropGeometry(
                height=told["height"], widths=tuple(told["widths"]), fit=told.get("fit", "pad")
            ),
            recipe_id=str(told["recipe_id"]),
            steps=int(told["steps"]),
        )
    except (ValueError, KeyError, TypeError, RecipeError) as error:
        broken = f"its card is broken ({type(error).__name__})"
        raise CheckpointError(
            f"{path}: {broken}. Export it again: serialread model export RUN --out {path}"
        ) from None


class _Requests(threading.local):
    """Of each thread its own, one a width: a request that changes its shape prepares itself anew."""

    def __init__(self) -> None:
        self.by_width: dict[int, Any] = {}


def _openvino(
    path: Path,
    data: bytes,
    precision: Precision,
    crew: tuple[int, int],
    outputs: tuple[Output, ...] | None,
    ranges: Ranges | None,
) -> tuple[str | None, tuple[Output, ...], _Network]:
    import openvino

    core = openvino.Core()
    try:
        model = core.read_model(data, b"")
    except RuntimeError:
        raise _foreign(path) from None
    if not model.has_rt_info(["framework", "serialread"]):
        return None, (), _unusable
    about = str(model.get_rt_info(["framework", "serialread"]).value)
    threads, streams = crew
    # pinned threads would wait for whoever else has their core
    settings: dict[str, Any] = {"NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
    if precision == "exact":
        settings["INFERENCE_PRECISION_HINT"] = (
            "f32"  # by itself OpenVINO takes bf16 where the processor has it
        )
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    results = {name: result for result in model.get_results() for name in result.output(0).get_names()}
    outputs = _present(path, results, outputs)
    if ranges is not None:
        quantize(model, ranges, path)
    asked = openvino.Model([results[output] for output in outputs], model.get_parameters())
    compiled = core.compile_model(asked, "CPU", settings)
    mine = _Requests()

    def run(batch: Floats) -> tuple[Floats, ...]:
        requests, width = mine.by_width, batch.shape[3]
        request = requests.get(width) or requests.setdefault(width, compiled.create_infer_request())
        # it copies: sharing inputs corrupts memory once they are freed
        found = request.infer({"crops": batch})
        return tuple(np.asarray(found[output]) for output in outputs)

    return about, outputs, run


def _onnxruntime(
    path: Path, data: bytes, crew: tuple[int, int], outputs: tuple[Output, ...] | None
) -> tuple[str | None, tuple[Output, ...], _Network]:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise CheckpointError(
            "engine onnxruntime: not installed. Install it: pip install 'serialread[onnxruntime]'"
        ) from None
    options = onnxruntime.SessionOptions()
    threads, streams = crew
    options.intra_op_num_threads = max((threads or os.cpu_count() or 1) // streams, 1)
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception:  # its exceptions share no base of their own
        raise _foreign(path) from None

    about = session.get_modelmeta().custom_metadata_map.get("serialread")
    present = {output.name for output in session.get_outputs()}
    outputs = _present(path, present, outputs) if about else ()

    def run(batch: Floats) -> tuple[Floats, ...]:
        return tuple(session.run(list(outputs), {"crops": batch}))

    return about, outputs, run


def _unusable(batch: Floats) -> tuple[Floats, ...]:
    raise NotImplementedError("a model without a card is refused before it runs")
