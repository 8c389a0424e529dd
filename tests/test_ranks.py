"""Training in several processes: the same samples and the same weights as in one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sample_cases import samples
from torch import nn

from serialread.codes import Alphabet
from serialread.config import TrainingRecipe, load
from serialread.config.training_recipe import Optimization
from serialread.datasets import write_store
from serialread.errors import RecipeError
from serialread.training.batches import Plan, StoredCrops, TrainingBatches
from serialread.training.optimization import split
from serialread.training.ranks import PartMeans, Ranks

ROOT = Path(__file__).parent.parent
TINY = ROOT / "recipes" / "train" / "siga-tiny.toml"


def train(folder: Path, name: str, processes: int, *more: str, crops: int = 24) -> dict[str, torch.Tensor]:
    """Train by the command in some processes, with two parts per batch; the last weights."""
    recipe = folder / f"{crops}.toml"
    recipe.write_text(
        f'extends = "{TINY}"\n[optimization]\nschedule = "stable"\ncrops = {crops}\nbatch = 8\nparts = 2\n'
        "workers = 0\nvalidate_crops = 1000\nbf16 = false\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", f"--master-port={port}"]
    command = ["train", str(recipe), "--data", str(folder / "store"), "--out", str(folder / name), "--quiet"]
    done = subprocess.run(
        [sys.executable, *(torchrun if processes > 1 else []), "-m", "serialread", *command, *more],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "MASTER_ADDR": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return torch.load(folder / name / "last.pt", weights_only=True)


def test_two_processes_train_as_one_and_resume(tmp_path: Path) -> None:
    write_store(tmp_path / "store", samples(40), about={})
    one = train(tmp_path, "one", 1)
    train(tmp_path, "two", 2, crops=16)
    two = train(tmp_path, "two", 2, "--resume")

    lines = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 3]  # each step once, by one process
    for found, expected in ((two["weights"], one["weights"]), (two["state"]["model"], one["state"]["model"])):
        assert found.keys() == expected.keys()
        for name, weight in expected.items():
            torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_processes_share_the_batch_of_a_step(count: int) -> None:
    recipe, data = load(TINY, TrainingRecipe), samples(20)
    plan, config = Plan(StoredCrops(data, np.full(20, 160, np.int32)), 8, 1), Optimization(batch=8, parts=4)
    whole = TrainingBatches(plan, recipe, Alphabet())[1]
    shares = [Ranks(rank, count).parts(config) for rank in range(count)]

    assert [part for share in shares for part in share] == [0, 1, 2, 3]
    found = [
        TrainingBatches(plan, recipe, Alphabet(), slice(2 * share.start, 2 * share.stop))[1]
        for share in shares
    ]
    assert torch.equal(torch.cat([batch.crops for batch in found]), whole.crops)
    parts = [
        part.crops for batch, share in zip(found, shares, strict=True) for part in split(batch, len(share))
    ]
    assert [len(part) for part in parts] == [2, 2, 2, 2]


@pytest.mark.parametrize(("parts", "count", "total"), [(1, 1, 1), (1, 2, 2), (4, 2, 4), (2, 3, 6)])
def test_the_parts_are_shared_evenly(parts: int, count: int, total: int) -> None:
    assert Ranks(0, count).parts_of_all(Optimization(batch=12, parts=parts)) == total


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(RecipeError) as refused:
        Ranks(0, 3).parts(Optimization(batch=8))
    assert str(refused.value) == (
        "optimization.batch 8: cannot be split into 3 parts for 3 process(es) with 1 replica(s) each. "
        "Choose a multiple of 3."
    )


def test_parts_leave_the_gradient_of_the_whole_batch_and_the_mean_of_their_statistics() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.5), nn.Linear(4, 1))
    frozen = model[0].bias.requires_grad_(False)
    batch, found = torch.randn(2, 6, 3), PartMeans(model)
    expected = []
    for part in batch:
        model.zero_grad()
        model(part).mean().backward()
        expected.append(model[2].weight.grad.clone())
        found.add()
    assert found.finish(Ranks(), [7.0]) == [7.0]

    torch.testing.assert_close(model[2].weight.grad, torch.stack(expected).mean(0))
    means = [0.5 * model[0](part).mean(0) for part in batch]
    torch.testing.assert_close(model[1].running_mean, torch.stack(means).mean(0).detach())
    assert model[1].num_batches_tracked == 1
    assert frozen.grad is None
