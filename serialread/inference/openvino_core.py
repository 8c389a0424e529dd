"""OpenVINO's core object, one for the process."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino


@cache
def openvino_core() -> "openvino.Core":
    """The core object that reads and compiles every network of this process.

    OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack and frees the stack with
    the core. If cores end in another order than they began, the thread keeps a freed stack, and the next
    signal with a Python handler, such as Ctrl-C or the end of a child process, ends the process with a
    segmentation fault. So the core lives as long as the process.
    """
    import openvino

    return openvino.Core()
