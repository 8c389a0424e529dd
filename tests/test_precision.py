"""Where a network is trained in bfloat16."""

import pytest
import torch

from serialread.training import precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "found"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_a_cpu_without_instructions_for_bfloat16_computes_in_float32(
    capabilities: dict[str, bool], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    precision.cpu_has_bf16.cache_clear()
    try:
        with precision.autocast(CPU, bf16=True):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
    finally:
        precision.cpu_has_bf16.cache_clear()
    assert product.dtype == (torch.bfloat16 if found else torch.float32)


def test_a_recipe_can_ask_for_float32_everywhere() -> None:
    with precision.autocast(CPU, bf16=False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_torch_that_cannot_tell_follows_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    precision.cpu_has_bf16.cache_clear()
    try:
        assert precision.cpu_has_bf16()
    finally:
        precision.cpu_has_bf16.cache_clear()
