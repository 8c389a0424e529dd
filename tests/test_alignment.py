"""The alignment of a text with columns by CTC."""

import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings, strategies as st
from torch import Tensor

from serialread.models.alignment import Occupancy, best_path, ctc_cost, occupancy

COLUMNS, CLASSES = 12, 5


def crop(seed: int, texts: list[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Random logits [B, N, C], classes [B, T] and lengths [B] of some texts."""
    logits = torch.randn(len(texts), COLUMNS, CLASSES, generator=torch.Generator().manual_seed(seed))
    classes = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    for row, text in zip(classes, texts, strict=True):
        row[: len(text)] = torch.tensor(text, dtype=torch.long)
    return logits.requires_grad_(), classes, torch.tensor([len(text) for text in texts])


texts = st.lists(st.lists(st.integers(1, CLASSES - 1), max_size=6), min_size=2, max_size=4).filter(any)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), texts)
def test_cost_and_gradient_are_those_of_ctc(seed: int, codes: list[list[int]]) -> None:
    """Texts fit twelve columns, six equal characters with their blanks included."""
    logits, classes, lengths = crop(seed, codes)
    logs = logits.log_softmax(-1)
    columns = torch.full_like(lengths, COLUMNS)
    theirs = F.ctc_loss(logs.transpose(0, 1), classes, columns, lengths, reduction="none")
    ours = ctc_cost(logs, classes, occupancy(logs, classes, lengths))
    gradients = [torch.autograd.grad(c.sum(), logits, retain_graph=True)[0] for c in (theirs, ours)]

    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-3)


def found_for(codes: list[list[int]], owners: Tensor | None = None, outside: float = 1.0) -> Occupancy:
    logits, classes, lengths = crop(7, codes)
    return occupancy(logits.log_softmax(-1), classes, lengths, owners, outside)


def test_states_share_every_column_and_characters_come_in_order() -> None:
    found = found_for([[1, 1, 2], [3, 4]])
    characters = found.characters
    centres = (characters * torch.arange(COLUMNS)).sum(-1) / characters.sum(-1)

    torch.testing.assert_close(found.states.sum(-1), torch.ones(2, COLUMNS))
    assert characters.shape == (2, 3, COLUMNS)
    assert (characters[1, 2] == 0).all()  # past the end
    assert centres[0].diff().min() > 0


def test_a_character_stays_in_its_own_columns_where_they_are_known() -> None:
    owners = torch.zeros(2, COLUMNS, dtype=torch.long)
    owners[0, 2:4], owners[0, 8:11] = 1, 2  # of the second crop nothing is known
    free, bound = found_for([[1, 2], [1, 2]]), found_for([[1, 2], [1, 2]], owners, 1e-4)
    inside = owners[0] == torch.tensor([[1], [2]])

    assert (bound.characters[0][~inside] < 0.02).all()
    torch.testing.assert_close(bound.characters[1], free.characters[1])


def test_the_best_path_numbers_its_characters() -> None:
    """Equal neighbours are one character unless a blank is between them."""
    best = torch.tensor([0, 3, 3, 0, 3, 1, 1, 0])
    runs = best_path(F.one_hot(best, 4)[None].float(), 4)

    assert [torch.nonzero(row).flatten().tolist() for row in runs[0]] == [[1, 2], [4], [5, 6], []]


def test_the_best_path_has_two_characters_in_three_columns_at_most() -> None:
    best = torch.tensor([1, 2, 3, 1, 2, 3])

    assert best_path(F.one_hot(best, 4)[None].float(), 40).argmax(-1).tolist() == [[0, 1, 2, 3]]
