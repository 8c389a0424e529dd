"""bfloat16 where the processor has instructions for it: emulated, it is fifty times slower than float32."""

from functools import cache

import torch

_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "sve_bf16", "bf16")


def autocast(device: torch.device, *, bf16: bool) -> torch.autocast:
    """Computation in bfloat16, if it is wanted and the device has instructions for it; float32 otherwise.

    The context keeps no cast weights: threads share that cache, and the first to finish clears it, which
    reorders sums.
    """
    wanted = bf16 and (device.type != "cpu" or cpu_has_bf16())
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted, cache_enabled=False)


@cache
def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16; true where this version of torch cannot tell."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is None:
        return True
    found = capabilities()
    return any(found.get(name, False) for name in _INSTRUCTIONS)
