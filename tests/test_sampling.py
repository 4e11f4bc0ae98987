"""The order of balanced batches: balance, coverage, determinism, two ranks, training taken up again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairaudit.errors import FairauditError
from fairaudit_mitigate.sampling import BalancedOrder, balanced_order

GROUPS = st.lists(st.integers(-1, 5), min_size=1, max_size=60).filter(lambda g: max(g) >= 0).map(np.array)
SEEDS = st.integers(0, 2**32 - 1)


@given(GROUPS, SEEDS, st.integers(0, 1000))
def test_groups_are_drawn_equally_often_in_every_stretch(groups: np.ndarray, seed: int, epoch: int) -> None:
    order = balanced_order(groups, seed, epoch)
    assert len(order) == len(groups)
    drawn = groups[order][groups[order] >= 0]
    present = set(groups[groups >= 0].tolist())
    counts = Counter(drawn.tolist())
    assert max(counts.values()) - min(counts[g] for g in present) <= 1
    for end in range(0, len(drawn) - len(present) + 1, len(present)):
        assert set(drawn[end : end + len(present)].tolist()) == present


@given(GROUPS, SEEDS)
def test_no_row_comes_again_before_all_of_its_group_came(groups: np.ndarray, seed: int) -> None:
    whole = np.concatenate([balanced_order(groups, seed, epoch) for epoch in range(7)])
    for group in set(groups.tolist()):
        rows = np.flatnonzero(groups == group).tolist()
        drawn = [i for i in whole.tolist() if groups[i] == group]
        for start in range(0, len(drawn), len(rows)):
            turn = drawn[start : start + len(rows)]
            assert len(set(turn)) == len(turn)
            assert set(turn) <= set(rows)


@given(GROUPS, SEEDS, st.integers(0, 50))
def test_rows_without_a_group_come_once_an_epoch(groups: np.ndarray, seed: int, epoch: int) -> None:
    order = balanced_order(groups, seed, epoch)
    assert sorted(order[groups[order] < 0].tolist()) == np.flatnonzero(groups < 0).tolist()


def test_over_many_epochs_groups_are_level_to_one_draw() -> None:
    groups = np.array([0] * 50 + [1] * 7 + [2] * 1 + [3] * 3)
    whole = np.concatenate([groups[balanced_order(groups, 3, epoch)] for epoch in range(9)])
    counts = np.bincount(whole)
    assert counts.max() - counts.min() <= 1


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    groups = np.array([0] * 90 + [1] * 30)
    first = balanced_order(groups, 0, 0)
    np.random.default_rng().random()
    assert (balanced_order(groups, 0, 0) == first).all()
    others = [
        balanced_order(groups, 1, 0),
        balanced_order(groups, 0, 1),
        balanced_order(groups, 2**32 - 1, 0),
    ]
    assert all((o != first).any() for o in others)


def test_rows_of_a_group_are_drawn_alike_and_places_too() -> None:
    """Chance is fair: over many seeds every row of the large group and every order of groups comes as often."""
    groups = np.array([0] * 6 + [1] * 2)
    orders = np.array([balanced_order(groups, seed, 0) for seed in range(3000)])
    seen = np.bincount(orders.ravel(), minlength=8)[:6] / 3000
    assert seen == pytest.approx(4 / 6, abs=0.04)
    assert (groups[orders[:, 0]] == 0).mean() == pytest.approx(0.5, abs=0.04)
    assert np.corrcoef(groups[orders[:, 0]], groups[orders[:, 2]])[0, 1] == pytest.approx(0, abs=0.06)


def test_no_row_with_a_group_is_refused() -> None:
    with pytest.raises(FairauditError, match="no train row has one"):
        BalancedOrder(np.array([-1, -1]), 0)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 3))
def test_two_ranks_share_one_order_and_resuming_goes_on_with_it(skip: int, batch: int, epoch: int) -> None:
    data_loader = pytest.importorskip("accelerate.data_loader")
    from torch.utils.data import BatchSampler

    groups = np.array([0] * 20 + [1] * 4)

    def batches(rank: int, skipped: int) -> list[list[int]]:
        order = BalancedOrder(groups, 5)
        shard = data_loader.BatchSamplerShard(BatchSampler(order, batch, False), 2, rank)
        sampler = data_loader.SkipBatchSampler(shard, skipped) if skipped else shard
        order.set_epoch(epoch)
        return list(sampler)

    ranks = [batches(0, 0), batches(1, 0)]
    drawn = [i for pair in zip(*ranks, strict=True) for part in pair for i in part]
    assert drawn[:24] == balanced_order(groups, 5, epoch).tolist()
    assert batches(1, skip) == ranks[1][skip:]


def test_a_trainer_draws_balanced_steps_and_a_new_order_each_epoch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from fairaudit_mitigate.train import FairnessTrainer

    groups = np.array([0] * 20 + [1] * 4)
    seen: list[int] = []

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 2)

        def forward(self, x: object) -> object:
            return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.layer(x))

    def collate(items: list[int]) -> dict[str, object]:
        seen.extend(items)
        ids = torch.tensor(items)
        return {"x": ids[:, None].float(), "labels": ids % 2, "groups": torch.tensor(groups[items])}

    arguments = transformers.TrainingArguments(
        str(tmp_path), num_train_epochs=2, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = FairnessTrainer(
        model=Linear(), args=arguments, train_dataset=list(range(24)), data_collator=collate,
        group_names=("a", "b"), sampler=BalancedOrder(groups, 7),
    )  # fmt: skip
    trainer.train()
    assert seen == [*balanced_order(groups, 7, 0).tolist(), *balanced_order(groups, 7, 1).tolist()]
    assert [record["groups_present"] for record in trainer.history] == [2] * 6
