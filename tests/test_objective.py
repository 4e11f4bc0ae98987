"""The objectives against loops and autograd, numerical derivatives, numbers by hand, and what they promise."""

from __future__ import annotations

import math
from itertools import product

import pytest

torch = pytest.importorskip("torch")

from oracle_objective import Case, Remembered, value  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate.methods import METHODS, find_method  # noqa: E402
from fairaudit_mitigate.methods.method import Terms, penalised  # noqa: E402
from fairaudit_mitigate.objective import (  # noqa: E402
    Objective,
    Statistics,
    Step,
    batch_totals,
    one_pass,
    row_weights,
    statistics,
    weighted,
)
from fairaudit_mitigate.objective_dro import GroupDRO  # noqa: E402
from fairaudit_mitigate.objective_fair import FairLoss  # noqa: E402
from fairaudit_mitigate.objective_memory import RememberedLoss  # noqa: E402

TERMS = [
    (r, s, e)
    for r, s, e in product(("sum", "mean"), ("both", "up"), ("batch", "corrected", "memory"))
    if (s, e) != ("up", "corrected")
]


def fair(losses: torch.Tensor, groups: torch.Tensor, k: int, terms: Terms) -> tuple[torch.Tensor, Statistics]:
    objective = FairLoss(k, terms)
    loss, _, found = one_pass(objective, losses, groups, objective.start())
    return loss, found


def random_step(seed: int, n: int = 37, k: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    losses = torch.rand(n, generator=generator, dtype=torch.float64) * 3
    return losses.requires_grad_(), torch.randint(-1, k, (n,), generator=generator)


@pytest.mark.parametrize(("reduction", "sided", "estimate"), TERMS)
def test_every_combination_has_the_gradient_of_its_formula(reduction: str, sided: str, estimate: str) -> None:
    counts = (30, 5, 70, 11, 2, 8)
    case = Case(
        "memory" if estimate == "memory" else "fair", 1.7, reduction, sided, estimate == "corrected", counts
    )
    objective = penalised(counts, Terms(1.7, reduction, sided, estimate))
    memory, state = objective.start(), Remembered()
    for seed in range(5):
        losses, groups = random_step(seed, n=5 + 8 * seed)
        loss, step, _ = one_pass(objective, losses, groups, memory)
        memory = step.memory
        wanted = torch.autograd.grad(value(case, losses, groups.tolist(), state), losses)[0]
        torch.testing.assert_close(torch.autograd.grad(loss, losses)[0], wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("estimate", ["batch", "corrected"])
def test_value_and_numerical_derivative_agree(reduction: str, estimate: str) -> None:
    losses, groups = random_step(3)
    terms = Terms(0.7, reduction, estimate=estimate)
    loss, found = fair(losses, groups, 6, terms)
    wanted = value(
        Case("fair", 0.7, reduction, "both", estimate == "corrected"), losses, groups.tolist(), Remembered()
    )
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-12)
    assert found.value.item() == pytest.approx(wanted.item(), rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: fair(x, groups, 6, terms)[0], (losses,), eps=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_penalty_it_is_the_plain_mean_to_the_bit(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(97, generator=generator, dtype=dtype, requires_grad=True)
    groups = torch.randint(-1, 5, (97,), generator=generator)
    loss, _ = fair(losses, groups, 5, Terms(0.0))
    plain = losses.mean()
    assert torch.equal(loss, plain)
    assert torch.equal(torch.autograd.grad(loss, losses)[0], torch.autograd.grad(plain, losses)[0])


def test_an_absent_group_is_masked() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    few, seen = fair(losses, torch.tensor([0, 0, 1]), 2, Terms(0.5))
    many, found = fair(losses, torch.tensor([1, 1, 6]), 9, Terms(0.5))
    assert many.item() == few.item()
    assert torch.equal(torch.autograd.grad(many, losses)[0], torch.autograd.grad(few, losses)[0])
    assert found.present.tolist() == [k in (1, 6) for k in range(9)]
    assert math.isnan(found.group_losses[0].item())
    assert seen.weights.tolist() == found.weights[[1, 6]].tolist()


def test_rows_without_a_group_count_in_the_mean_only() -> None:
    losses = torch.tensor([1.0, 3.0, 100.0], dtype=torch.float64)
    loss, found = fair(losses, torch.tensor([0, 1, -1]), 2, Terms(2.0))
    assert loss.item() == pytest.approx(104 / 3 + 2 * (1 + 1))
    assert found.group_losses.tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    "objective",
    [
        FairLoss(2, Terms(5.0)),
        FairLoss(2, Terms(5.0, estimate="corrected")),
        RememberedLoss((3, 4), Terms(5.0, sided="up", estimate="memory")),
        GroupDRO((3, 4)),
    ],
)
def test_no_group_at_all_is_the_mean(objective: Objective) -> None:
    losses = torch.tensor([1.0, 3.0], requires_grad=True)
    loss, step, _ = one_pass(objective, losses, torch.tensor([-1, -1]), objective.start())
    loss.backward()
    assert loss.item() == 2.0
    assert losses.grad.tolist() == [0.5, 0.5]
    assert torch.allclose(step.memory, objective.start())


def test_a_group_id_beyond_the_groups_is_an_error() -> None:
    with pytest.raises(IndexError):
        fair(torch.ones(3), torch.tensor([0, 1, 2]), 2, Terms(1.0))


def test_the_penalty_of_half_precision_losses_is_computed_precisely() -> None:
    losses = torch.tensor([1.0, 1.0078125, 1.015625, 1.0], dtype=torch.bfloat16)  # exact in bfloat16
    groups = torch.tensor([0, 0, 1, 1])
    loss, found = fair(losses, groups, 2, Terms(1.0))
    exact, expected = fair(losses.double(), groups, 2, Terms(1.0))
    assert loss.dtype == torch.float32
    assert found.penalty.item() == pytest.approx(expected.penalty.item(), rel=1e-12)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)


def test_weights_are_those_of_the_formula() -> None:
    losses = torch.tensor([0.0, 1.0, 5.0, 6.0], dtype=torch.float64)
    _, found = fair(losses, torch.tensor([0, 0, 0, 1]), 2, Terms(0.5))
    assert found.group_losses.tolist() == [2.0, 6.0]
    assert found.weights.tolist() == pytest.approx([0.75 + (2 - 4), 0.25 + (6 - 4)])
    assert found.weights.sum().item() == pytest.approx(1)
    record = found.record(("a", "b"))
    assert (record["negative_weights"], record["groups_present"]) == (1, 2)
    assert record["penalty"] == pytest.approx(0.5 * 8)
    assert record["objective"] == pytest.approx(3 + 4)
    assert record["group_losses"] == {"a": 2.0, "b": 6.0}


def test_one_side_makes_nobody_worse() -> None:
    losses, groups = random_step(1)
    for objective in (
        FairLoss(6, Terms(50.0, sided="up")),
        penalised((1,) * 6, Terms(50.0, "sum", "up", "memory")),
    ):
        memory = objective.step(batch_totals(losses.detach(), groups, 6), objective.start()).memory
        step = objective.step(batch_totals(losses.detach(), groups, 6), memory)
        assert (row_weights(step, losses, groups) > 0).all()


def test_the_corrected_penalty_is_unbiased_and_the_plain_one_is_not() -> None:
    """Many small batches of groups with known means: the average of R against the spread of the true means."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([1.0, 1.5, 3.0], dtype=torch.float64)
    groups = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    noise = torch.randn(4000, len(groups), generator=generator, dtype=torch.float64)
    spread = float((truth - truth.mean()).square().sum())
    bias = (1 - 1 / 3) * (1 / 2 + 1 / 3 + 1 / 2)
    for estimate, wanted in (("batch", spread + bias), ("corrected", spread)):
        objective = FairLoss(3, Terms(1.0, estimate=estimate))
        found = [
            float(objective.step(batch_totals(truth[groups] + e, groups, 3), objective.start()).penalty)
            for e in noise
        ]
        mean = sum(found) / len(found)
        error = (sum((x - mean) ** 2 for x in found) / len(found) ** 2) ** 0.5
        assert abs(mean - wanted) < 4 * error
        assert error < bias / 10


def test_a_group_of_one_row_is_not_corrected_and_counted() -> None:
    losses, groups = torch.tensor([0.0, 2.0, 5.0], dtype=torch.float64), torch.tensor([0, 0, 1])
    _, found = fair(losses, groups, 2, Terms(1.0, estimate="corrected"))
    assert found.record(("a", "b"))["uncorrected"] == 1
    assert found.penalty.item() == pytest.approx(2 * 2.0**2 - (1 / 2) * 2.0 / 2)


def test_the_memory_is_a_corrected_moving_average_of_the_steps_where_a_group_was_present() -> None:
    objective = RememberedLoss((1, 1, 1), Terms(1.0, estimate="memory"))
    memory = objective.start()
    for losses, groups in (([4.0, 1.0], [0, 1]), ([2.0], [0]), ([6.0, 8.0], [0, 0])):
        step = objective.step(batch_totals(torch.tensor(losses), torch.tensor(groups), 3), memory)
        memory = step.memory
    wanted = (0.81 * 4 + 0.9 * 2 + 7) / (0.81 + 0.9 + 1)
    remembered = objective.step(batch_totals(torch.ones(1), torch.tensor([0]), 3), memory)
    record = statistics(batch_totals(torch.ones(1), torch.tensor([0]), 3), remembered).record(("a", "b", "c"))
    assert record["remembered"] == {"a": pytest.approx(wanted), "b": pytest.approx(1.0)}


@pytest.mark.parametrize(("sided", "penalty"), [("both", 0.3), ("up", 0.3), ("up", 40.0), ("up", 1e6)])
def test_remembered_weights_estimate_the_population_gradient_without_bias(sided: str, penalty: float) -> None:
    """The mean over random batches of Σ_{i ∈ g} v_i is P_g + 2λ d_g, over Z for one side; rare groups too."""
    counts, missing = (70, 25, 4), 11
    groups = torch.tensor([0] * 70 + [1] * 25 + [2] * 4 + [-1] * missing)
    losses = torch.tensor([1.0, 2.0, 4.0, 0.0], dtype=torch.float64)[groups]
    objective = RememberedLoss(counts, Terms(penalty, "sum", sided, "memory"))
    memory = objective.step(batch_totals(losses, groups, 3), objective.start()).memory
    generator = torch.Generator().manual_seed(0)
    shares = torch.zeros(4000, 4, dtype=torch.float64)
    for draw in shares:
        batch = groups[torch.randint(0, len(groups), (16,), generator=generator)]
        step = objective.step(batch_totals(torch.zeros(16), batch, 3), memory)
        draw.index_add_(0, batch % 4, row_weights(step, torch.zeros(16, dtype=torch.float64), batch))
    gap = torch.tensor([1.0, 2.0, 4.0]).double() - 7 / 3
    gap = gap.clamp(min=0) if sided == "up" else gap
    wanted = torch.tensor([70, 25, 4]) / len(groups) + 2 * penalty * gap
    z = 1 + 2 * penalty * float(gap.sum())
    wanted = torch.cat([wanted, torch.tensor([missing / len(groups)])]) / z
    error = shares.std(dim=0) / len(shares) ** 0.5
    assert ((shares.mean(dim=0) - wanted).abs() <= 4.5 * error + 1e-12).all()
    assert wanted.sum().item() == pytest.approx(1)


def test_balanced_sampling_draws_every_group_alike() -> None:
    terms = Terms(1.0, "sum", "up", "memory", sampling="balanced")
    objective = penalised((90, 10), terms)
    assert isinstance(objective, RememberedLoss)
    assert step_of(objective, 0).level.tolist() == pytest.approx(
        step_of(RememberedLoss((1, 1), Terms(1.0, "sum", "up", "memory")), 0).level.tolist()
    )
    assert (
        step_of(objective, 0).level[2]
        != step_of(penalised((90, 10), Terms(1.0, "sum", "up", "memory")), 0).level[2]
    )


def step_of(objective: Objective, seed: int) -> Step:
    losses, groups = random_step(seed, k=2)
    totals = batch_totals(losses.detach() * (1 + groups), groups, 2)
    return objective.step(totals, objective.step(totals, objective.start()).memory)


def test_the_adjustment_pulls_small_groups_and_the_decay_forgets() -> None:
    """Equal losses: only the margin C/√n tells the groups apart."""
    groups = torch.tensor([0, 1, 2])
    totals = batch_totals(torch.full((3,), 2.0), groups, 3)
    objective = penalised((100, 25, 4), Terms(1.0, "sum", "up", "memory", adjustment=2.0, decay=0.5))
    memory = objective.step(totals, objective.start()).memory
    step = objective.step(totals, memory)
    margins = [0.2, 0.4, 1.0]
    gap = [max(0.0, m - sum(margins) / 3) for m in margins]
    shares = [100 / 129, 25 / 129, 4 / 129]
    wanted = [(1 / 3 + 2 * d / p / 3) / (1 + 2 * sum(gap)) for d, p in zip(gap, shares, strict=True)]
    assert step.level[1:].tolist() == pytest.approx(wanted)
    assert step.memory[1].tolist() == pytest.approx([0.75] * 3)


def test_group_dro_is_algorithm_1() -> None:
    objective = GroupDRO((100, 25, 4), step_size=0.5, adjustment=2.0)
    totals = batch_totals(torch.tensor([1.0, 3.0, 2.0]), torch.tensor([0, 0, 1]), 3)
    step = objective.step(totals, objective.start())
    raw = [math.exp(0.5 * (2 + 2 / 10)), math.exp(0.5 * (2 + 2 / 5)), 1.0]  # the absent group keeps its own
    q = [r / sum(raw) for r in raw]
    assert step.memory.exp()[0].tolist() == pytest.approx(q)
    assert step.level.tolist() == pytest.approx([1 / 3, q[0] / 2, q[1], 0.0])
    assert statistics(totals, step).value.item() == pytest.approx(2 * q[0] + 2 * q[1])
    again = objective.step(totals, step.memory)
    assert again.memory[0, 1] > step.memory[0, 1]


def test_parts_of_a_step_add_up_to_its_value() -> None:
    losses, groups = random_step(2)
    objective = FairLoss(6, Terms(2.0, estimate="corrected"))
    whole, step, found = one_pass(objective, losses, groups, objective.start())
    parts = [weighted(step, losses[p], groups[p], 37) for p in torch.arange(37).tensor_split(5)]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-12)
    assert whole.item() == pytest.approx(found.value.item(), rel=1e-12)


def test_the_average_of_micro_batch_penalties_is_not_the_penalty() -> None:
    """What the totals are for: the naive way is another number."""
    losses = torch.tensor([0.0, 4.0, 1.0, 1.0], dtype=torch.float64)
    groups = torch.tensor([0, 1, 0, 1])
    whole, _ = fair(losses, groups, 2, Terms(1.0))
    halves = [fair(losses[i : i + 2], groups[i : i + 2], 2, Terms(1.0))[0] for i in (0, 2)]
    assert abs(whole.item() - sum(halves).item() / 2) > 1


def test_totals_add_up_and_a_nan_stays_in_its_group() -> None:
    losses, groups = torch.arange(6, dtype=torch.float64), torch.tensor([0, 1, -1, 1, 0, 2])
    totals = batch_totals(losses, groups, 3)
    assert totals.tolist() == [[2, 4, 4, 5], [1, 2, 2, 1], [4, 16, 10, 25]]
    assert torch.equal(
        totals, batch_totals(losses[:2], groups[:2], 3) + batch_totals(losses[2:], groups[2:], 3)
    )
    losses[3] = torch.nan
    assert batch_totals(losses, groups, 3)[0].isnan().tolist() == [False, False, True, False]


def test_notes_are_logged_as_numbers_and_by_group() -> None:
    totals = batch_totals(torch.ones(2), torch.tensor([0, 1]), 2)
    notes = {"one": torch.tensor(7), "each": torch.tensor([0.5, torch.nan])}
    step = Step(torch.full((3,), 0.5).double(), torch.zeros(()).double(), torch.zeros(0, 2), None, notes)
    record = statistics(totals, step).record(("a", "b"))
    assert (record["one"], record["each"]) == (7, {"a": 0.5})


@pytest.mark.parametrize("penalty", [-0.1, float("nan"), float("inf"), 1.1e6])
def test_a_penalty_without_meaning_is_refused(penalty: float) -> None:
    with pytest.raises(FairauditError, match="λ"):
        Terms(penalty)


def test_a_huge_penalty_gives_finite_weights() -> None:
    losses, groups = random_step(4)
    for objective in (FairLoss(6, Terms(1e6)), penalised((1,) * 6, Terms(1e6, "mean", "up", "memory"))):
        memory = objective.step(batch_totals(losses.detach(), groups, 6), objective.start()).memory
        loss, _, _ = one_pass(objective, losses, groups, memory)
        assert torch.autograd.grad(loss, losses)[0].isfinite().all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Terms(reduction="max"), "reduction is sum or mean"),
        (lambda: Terms(sided="up", estimate="corrected"), "both sides only"),
        (lambda: FairLoss(2, Terms(estimate="memory")), "RememberedLoss"),
        (lambda: RememberedLoss((3, 0), Terms()), "drop it"),
        (lambda: Terms(decay=1.0), r"\[0, 1\)"),
        (lambda: Terms(adjustment=-1.0), "adjustment"),
        (lambda: Terms(adjustment=float("nan")), "adjustment"),
        (lambda: FairLoss(2, Terms(adjustment=1.0)), "goes with the estimate 'memory'"),
        (lambda: GroupDRO((3, 0)), "has a row"),
        (lambda: GroupDRO((3, 1), step_size=0.0), "step size"),
        (lambda: GroupDRO((3, 1), adjustment=float("nan")), "adjustment"),
    ],
)
def test_terms_without_meaning_are_refused_in_one_sentence(make: object, said: str) -> None:
    with pytest.raises(FairauditError, match=said) as caught:
        make()
    assert str(caught.value).endswith(".")


def test_fairlora_up_is_one_sided_remembered_and_portable() -> None:
    up = find_method("fairlora-up")
    assert "fairlora-up" in METHODS
    objective = up.objective((5, 6), up.terms)
    assert isinstance(objective, RememberedLoss)
    assert (objective.terms.sided, objective.terms.reduction) == ("up", "mean")
