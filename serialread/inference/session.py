"""Model sessions: an exported network, run by OpenVINO or ONNX Runtime.

Letters: B crops, H W px, T positions, C classes, N columns.
"""

import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, assert_never, cast, get_args

import numpy as np

from serialread.codes import MAX_LENGTH, Alphabet
from serialread.config import CropGeometry
from serialread.errors import CheckpointError, RecipeError
from serialread.inference.openvino_core import (
    CompilationError,
    compiled,
    openvino_core,
    require_another_engine,
)
from serialread.inference.quantization import INT8_SUFFIX, Ranges, load_ranges, quantize, ranges_mismatch
from serialread.records import Floats, Topology

EngineKind = Literal["openvino", "onnxruntime"]
Precision = Literal["fast", "half", "exact"]
"""``fast``: int8 for wide convolutions if the model has ranges (see ``quantization``), else as ``half``.
``half``: 16 bits where the processor supports it. ``exact``: 32 bits; ONNX Runtime is always exact."""
Output = Literal["scores", "attention", "glyphs", "upright", "glyph_scores"]
OUTPUTS: tuple[Output, ...] = ("scores", "attention", "glyphs", "upright", "glyph_scores")
"""All possible outputs of a model file; glyph maps and the orientation score are optional."""
READING: tuple[Output, ...] = ("scores", "attention")
"""Outputs needed to read one view; tighter views and explanations need the glyph maps, too."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Metadata of a model file.

    Attributes:
        model_id: name and digest of the weights.
        alphabet: characters that it reads.
        geometry: height and width buckets of its input.
        recipe_id: id of the training recipe.
        steps: optimizer steps of its training.
        topology: whether the scores are of slots or of columns.
        capacity: number of characters that it reads at most.
    """

    model_id: str
    alphabet: Alphabet
    geometry: CropGeometry
    recipe_id: str
    steps: int
    topology: Topology = "slots"
    capacity: int = MAX_LENGTH


_Network = Callable[[Floats], tuple[Floats, ...]]
"""A compiled network of one library."""

MAX_BATCH, MAX_BATCH_PX = 8, 2304
"""Crops of a full batch, and their widths together, at most: wider crops take as long in smaller batches,
which fill sooner and take less memory (docs/benchmarks/reading.md)."""
NEARLY_FULL = 0.75
"""Share of a full batch's crops from which it is padded, not split into single ones: the library keeps
kernels for every shape of its input, 8 MB and 20 ms of a processor each, and takes 3 ms to go from one to
another."""
WIDTH_STEP = 4 / 3
"""Of a model's width buckets, those are used that are wider than the one before by this factor: fewer shapes,
and batches that fill (docs/benchmarks/reading.md)."""


class Engine:
    """A loaded model file.

    Attributes:
        card: metadata of the file.
        outputs: outputs of ``run``, in this order.
        kind: the library that runs it: ``onnxruntime`` also where OpenVINO cannot compile the model.
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
            path: the ONNX file.
            kind: the library that runs it.
            precision: see ``Precision``.
            threads: processor threads; 0: one per core.
            streams: batches that run in parallel; they share the threads.
            outputs: outputs of ``run``, in this order; None: all that the file has. Others are not
                computed.
            ranges: input ranges for ``fast``; None: those saved with the file.

        Raises:
            CheckpointError: the file is missing, not a model of serialread, lacks an output, or has ranges of
                another model; or the library is not installed, or cannot compile the model on this processor.
        """
        if kind not in get_args(EngineKind):
            raise CheckpointError(f"engine {kind}: no such engine. Use {' or '.join(get_args(EngineKind))}.")
        data, spans = _bytes(path), None
        match kind:
            case "openvino":
                spans = (ranges or load_ranges(path)) if precision == "fast" else None
                try:
                    about, self.outputs, self._network = _openvino(
                        path, data, precision, (threads, streams), outputs, spans
                    )
                except CompilationError as error:
                    require_another_engine(error)
                    kind, spans = "onnxruntime", None
                    about, self.outputs, self._network = _onnxruntime(path, data, (threads, streams), outputs)
            case "onnxruntime":
                about, self.outputs, self._network = _onnxruntime(path, data, (threads, streams), outputs)
            case _:
                assert_never(kind)
        self.kind, self.card = kind, _card(path, about)
        if spans is not None:
            if spans.model_id != self.card.model_id:
                raise ranges_mismatch(spans, path)
            self.card = replace(self.card, model_id=self.card.model_id + INT8_SUFFIX)

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        """Run the network on crops [B, 1, H, W] of one width bucket; thread-safe.

        Returns:
            Of these, ``outputs``: log-probabilities [B, T, C], of CTC topology [B, N, C]; attention
            [B, T, N]; glyph maps [B, T, h, N]; log-odds [B] that the line is upright.
        """
        found = [[output[:count] for output in self._network(part)] for part, count in _parts(batch)]
        return tuple(found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True)))


def full_batch(width: int) -> int:
    """Crops of this width, px, in a full batch: a power of two."""
    return 1 << int(math.log2(min(MAX_BATCH, max(MAX_BATCH_PX / width, 1))))


def _parts(batch: Floats) -> Iterator[tuple[Floats, int]]:
    """A batch in full ones and single crops, with the number of the crops; the others are padding."""
    for size in (full_batch(batch.shape[3]), 1):
        while len(batch) >= NEARLY_FULL * size:
            count = min(size, len(batch))
            part, batch = batch[:count], batch[count:]
            yield np.pad(part, ((0, size - count), (0, 0), (0, 0), (0, 0))) if count < size else part, count


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such model. Make one: serialread model export RUN --out {path}"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}. Give a model file.") from None


def _not_a_model(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a model of serialread. Make one: serialread model export RUN --out {path}"
    )


def _present(path: Path, present: Container[str], requested: tuple[Output, ...] | None) -> tuple[Output, ...]:
    """The requested outputs of a file; None: all that it has."""
    for output in requested or ():
        if output not in present:
            raise missing_output(path, output)
    return tuple(output for output in OUTPUTS if output in present) if requested is None else requested


def missing_output(path: Path, output: Output) -> CheckpointError:
    """The error for a model file without a requested output."""
    return CheckpointError(
        f"{path}: a model without {output}. Export it again: serialread model export RUN --out {path}"
    )


def _card(path: Path, about: str) -> ModelCard:
    """The card in a model file's metadata, JSON."""
    try:
        content = json.loads(about)
        return ModelCard(
            model_id=str(content["model_id"]),
            alphabet=Alphabet(content["alphabet"]),
            geometry=CropGeometry(
                height=content["height"], widths=tuple(content["widths"]), fit=content.get("fit", "pad")
            ).sparse(WIDTH_STEP),
            recipe_id=str(content["recipe_id"]),
            steps=int(content["steps"]),
            topology=_topology(content.get("topology", "slots")),
            capacity=int(content.get("capacity", MAX_LENGTH)),
        )
    except (ValueError, KeyError, TypeError, RecipeError) as error:
        broken = f"its card is broken ({type(error).__name__})"
        raise CheckpointError(
            f"{path}: {broken}. Export it again: serialread model export RUN --out {path}"
        ) from None


def _topology(name: str) -> Topology:
    if name not in get_args(Topology):
        raise ValueError(name)
    return cast("Topology", name)


def _openvino(
    path: Path,
    data: bytes,
    precision: Precision,
    parallelism: tuple[int, int],
    outputs: tuple[Output, ...] | None,
    ranges: Ranges | None,
) -> tuple[str, tuple[Output, ...], _Network]:
    core = openvino_core()
    import openvino

    try:
        model = core.read_model(data, b"")
    except RuntimeError:
        raise _not_a_model(path) from None
    if not model.has_rt_info(["framework", "serialread"]):
        raise _not_a_model(path)
    about = str(model.get_rt_info(["framework", "serialread"]).value)
    threads, streams = parallelism
    # pinned threads wait for other processes on their core
    settings: dict[str, Any] = {"NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
    if precision == "exact":
        # OpenVINO's default is bf16 where the processor has it
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    results = {name: result for result in model.get_results() for name in result.output(0).get_names()}
    outputs = _present(path, results, outputs)
    if ranges is not None:
        quantize(model, ranges, path)
    selected = openvino.Model([results[output] for output in outputs], model.get_parameters())
    network = compiled(selected, settings)
    # by width, since a request prepares itself again when its input shape changes
    free: defaultdict[int, list[Any]] = defaultdict(list)

    def run(batch: Floats) -> tuple[Floats, ...]:
        requests = free[batch.shape[3]]
        try:
            request = requests.pop()
        except IndexError:
            request = network.create_infer_request()
        # infer() copies; shared inputs corrupt memory once they are freed
        found = request.infer({"crops": batch})
        requests.append(request)
        return tuple(np.asarray(found[output]) for output in outputs)

    return about, outputs, run


def _onnxruntime(
    path: Path, data: bytes, parallelism: tuple[int, int], outputs: tuple[Output, ...] | None
) -> tuple[str, tuple[Output, ...], _Network]:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise CheckpointError(
            "engine onnxruntime: not installed. Install it: pip install 'serialread[onnxruntime]'"
        ) from None
    options = onnxruntime.SessionOptions()
    threads, streams = parallelism
    options.intra_op_num_threads = max((threads or os.cpu_count() or 1) // streams, 1)
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception:  # its exceptions have no common base class
        raise _not_a_model(path) from None

    about = session.get_modelmeta().custom_metadata_map.get("serialread")
    if not about:
        raise _not_a_model(path)
    present = {output.name for output in session.get_outputs()}
    outputs = _present(path, present, outputs)

    def run(batch: Floats) -> tuple[Floats, ...]:
        return tuple(session.run(list(outputs), {"crops": batch}))

    return about, outputs, run
