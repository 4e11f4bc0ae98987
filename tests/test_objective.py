"""The objective against a reference written by hand, numerical derivatives, and itself in pieces."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate.objective import (  # noqa: E402
    FairLoss,
    batch_totals,
    fair_loss,
    row_weights,
    statistics,
)

X = [0.5, -1.0, 2.0, 0.3, -0.7, 1.1]
Y = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
GROUPS = [0, 0, 1, 1, 1, -1]


def row_losses(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared errors of the two-parameter model a·x + b."""
    x, y = torch.tensor(X, dtype=a.dtype), torch.tensor(Y, dtype=a.dtype)
    return (a * x + b - y) ** 2


def by_hand(a: float, b: float, penalty: float, reduction: str) -> tuple[float, float, float]:
    """J, dJ/da and dJ/db in plain Python, from the definition."""
    rows = [
        ((a * x + b - y) ** 2, 2 * (a * x + b - y) * x, 2 * (a * x + b - y))
        for x, y in zip(X, Y, strict=True)
    ]
    total = [sum(r[k] for r in rows) / len(rows) for k in range(3)]
    means = []
    for g in sorted({g for g in GROUPS if g >= 0}):
        own = [r for r, h in zip(rows, GROUPS, strict=True) if h == g]
        means.append([sum(r[k] for r in own) / len(own) for k in range(3)])
    centre = [sum(m[k] for m in means) / len(means) for k in range(3)]
    scale = penalty / (len(means) if reduction == "mean" else 1)
    value = total[0] + scale * sum((m[0] - centre[0]) ** 2 for m in means)
    slopes = [
        total[k] + scale * sum(2 * (m[0] - centre[0]) * (m[k] - centre[k]) for m in means) for k in (1, 2)
    ]
    return value, slopes[0], slopes[1]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("penalty", [0.0, 0.1, 3.0])
def test_loss_and_gradient_equal_the_reference(penalty: float, reduction: str) -> None:
    a = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    b = torch.tensor(-0.2, dtype=torch.float64, requires_grad=True)
    loss, _ = fair_loss(row_losses(a, b), torch.tensor(GROUPS), 2, penalty, reduction)
    loss.backward()
    expected = by_hand(0.8, -0.2, penalty, reduction)
    assert [loss.item(), a.grad.item(), b.grad.item()] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradient_is_the_numerical_derivative(reduction: str) -> None:
    def value(parameters: torch.Tensor) -> torch.Tensor:
        return fair_loss(row_losses(*parameters), torch.tensor(GROUPS), 2, 0.7, reduction)[0]

    start = torch.tensor([0.8, -0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(value, (start,), eps=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_penalty_it_is_the_plain_mean_to_the_bit(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(97, generator=generator, dtype=dtype, requires_grad=True)
    groups = torch.randint(-1, 5, (97,), generator=generator)
    loss, _ = fair_loss(losses, groups, 5, 0.0)
    plain = losses.mean()
    assert torch.equal(loss, plain)
    assert torch.equal(torch.autograd.grad(loss, losses)[0], torch.autograd.grad(plain, losses)[0])


def test_an_absent_group_is_masked() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    few, seen = fair_loss(losses, torch.tensor([0, 0, 1]), 2, 0.5)
    many, statistics_of_many = fair_loss(losses, torch.tensor([1, 1, 6]), 9, 0.5)
    assert many.item() == few.item()
    assert torch.equal(torch.autograd.grad(many, losses)[0], torch.autograd.grad(few, losses)[0])
    assert statistics_of_many.present.tolist() == [k in (1, 6) for k in range(9)]
    assert math.isnan(statistics_of_many.group_losses[0].item())
    assert seen.weights.tolist() == statistics_of_many.weights[[1, 6]].tolist()


def test_rows_without_a_group_count_in_the_mean_only() -> None:
    losses = torch.tensor([1.0, 3.0, 100.0], dtype=torch.float64)
    loss, found = fair_loss(losses, torch.tensor([0, 1, -1]), 2, 2.0)
    assert loss.item() == pytest.approx(104 / 3 + 2 * (1 + 1))
    assert found.group_losses.tolist() == [1.0, 3.0]


def test_no_group_at_all_is_the_mean() -> None:
    losses = torch.tensor([1.0, 3.0], requires_grad=True)
    loss, _ = fair_loss(losses, torch.tensor([-1, -1]), 2, 5.0)
    loss.backward()
    assert loss.item() == 2.0
    assert losses.grad.tolist() == [0.5, 0.5]


def test_the_penalty_of_half_precision_losses_is_computed_in_float32() -> None:
    losses = torch.tensor([1.0, 1.0078125, 1.015625, 1.0], dtype=torch.bfloat16)  # exact in bfloat16
    groups = torch.tensor([0, 0, 1, 1])
    loss, found = fair_loss(losses, groups, 2, 1.0)
    exact, expected = fair_loss(losses.double(), groups, 2, 1.0)
    assert loss.dtype == found.penalty.dtype == torch.float32
    assert found.penalty.item() == pytest.approx(expected.penalty.item(), rel=1e-3)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)


def test_weights_are_those_of_the_formula() -> None:
    losses = torch.tensor([0.0, 1.0, 5.0, 6.0], dtype=torch.float64)
    _, found = fair_loss(losses, torch.tensor([0, 0, 0, 1]), 2, 0.5)
    group = [2.0, 6.0]
    assert found.group_losses.tolist() == group
    assert found.weights.tolist() == pytest.approx([0.75 + (2 - 4), 0.25 + (6 - 4)])
    assert found.weights.sum().item() == pytest.approx(1)
    record = found.record(("a", "b"))
    assert (record["negative_weights"], record["groups_present"]) == (1, 2)
    assert record["penalty"] == pytest.approx(0.5 * 8)
    assert record["objective"] == pytest.approx(3 + 4)


@pytest.mark.parametrize("pieces", [1, 2, 4])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_two_passes_over_micro_batches_equal_the_full_batch(pieces: int, reduction: str) -> None:
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4)).double()
    x, y = torch.randn(37, 3, dtype=torch.float64), torch.randint(0, 4, (37,))
    groups = torch.randint(-1, 6, (37,))

    def losses(rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(x[rows]), y[rows], reduction="none")

    whole, _ = fair_loss(losses(torch.arange(37)), groups, 6, 2.0, reduction)
    expected = torch.autograd.grad(whole, list(model.parameters()))
    parts = torch.arange(37).tensor_split(pieces)
    totals = sum(batch_totals(losses(p).detach(), groups[p], 6) for p in parts)
    for p in parts:
        (row_weights(totals, groups[p], 2.0, reduction) * losses(p)).sum().backward()
    for parameter, wanted in zip(model.parameters(), expected, strict=True):
        assert (parameter.grad - wanted).norm() / wanted.norm() < 1e-9


def test_the_average_of_micro_batch_penalties_is_not_the_penalty() -> None:
    """What the two passes are for: the naive way is another number."""
    losses = torch.tensor([0.0, 4.0, 1.0, 1.0], dtype=torch.float64)
    groups = torch.tensor([0, 1, 0, 1])
    whole, _ = fair_loss(losses, groups, 2, 1.0)
    halves = [fair_loss(losses[i : i + 2], groups[i : i + 2], 2, 1.0)[0] for i in (0, 2)]
    assert abs(whole.item() - sum(halves).item() / 2) > 1


def test_totals_add_up_and_statistics_follow_from_them() -> None:
    losses, groups = torch.arange(6, dtype=torch.float64), torch.tensor([0, 1, -1, 1, 0, 2])
    totals = batch_totals(losses, groups, 3)
    assert totals.tolist() == [[4, 4, 5, 2], [2, 2, 1, 1]]
    assert torch.equal(
        totals, batch_totals(losses[:2], groups[:2], 3) + batch_totals(losses[2:], groups[2:], 3)
    )
    loss, found = fair_loss(losses, groups, 3, 0.3)
    again = statistics(totals, 0.3)
    assert again.value.item() == pytest.approx(loss.item())
    assert again.weights.tolist() == found.weights.tolist()


@pytest.mark.parametrize("penalty", [-0.1, float("nan"), float("inf")])
def test_a_penalty_without_meaning_is_refused(penalty: float) -> None:
    with pytest.raises(FairauditError, match="λ"):
        FairLoss(2, penalty)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(FairauditError, match="sum or mean"):
        FairLoss(2, 0.1, "max")
