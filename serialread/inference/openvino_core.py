"""OpenVINO's core object, one for the process."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from serialread.errors import CheckpointError

if TYPE_CHECKING:
    import openvino

_mutex = Lock()


def openvino_core() -> "openvino.Core":
    """The core object that reads and compiles every network of this process.

    OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack and frees the stack with
    the core. If cores end in another order than they began, the thread keeps a freed stack, and the next
    signal with a Python handler, such as Ctrl-C or the end of a child process, ends the process with a
    segmentation fault. So the core lives as long as the process.

    Its first access to an array must be over before threads infer side by side: of two that make it at once,
    one waits for the other's initialization with the interpreter's lock held, which the other waits for.
    """
    with _mutex:
        return _core()


class CompilationError(Exception):
    """OpenVINO cannot compile a model, as on a processor that it does not support."""


def compiled(model: "openvino.Model", settings: Mapping[str, Any]) -> Any:
    """A model, compiled for the processor.

    Raises:
        CompilationError: it cannot be compiled.
    """
    try:
        return openvino_core().compile_model(model, "CPU", dict(settings))
    except RuntimeError as error:
        raise CompilationError(str(error)) from None


def require_another_engine(error: CompilationError) -> None:
    """Check that ONNX Runtime can replace OpenVINO.

    Raises:
        CheckpointError: it is not installed.
    """
    if find_spec("onnxruntime") is None:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else "no reason given"
        raise CheckpointError(
            f"engine openvino: cannot compile the model on this processor ({reason}). "
            "Install the other engine: pip install 'serialread[onnxruntime]'"
        )


@cache
def _core() -> "openvino.Core":
    _import_without_converter()
    import openvino

    _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino.Core()


def _import_without_converter() -> None:
    """Import OpenVINO without its model converter and telemetry, which take 0.06 s.

    ``openvino.convert_model`` is then missing; ``openvino.tools.ovc`` can still be imported.
    """
    converter = "openvino.tools.ovc"
    if "openvino" in sys.modules or converter in sys.modules:
        return
    sys.modules[converter] = None  # type: ignore[assignment] # its import then fails, which OpenVINO allows
    try:
        import openvino  # noqa: F401
    finally:
        sys.modules.pop(converter, None)
