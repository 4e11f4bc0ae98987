"""Deep feature reweighting: the last layer fitted again, on group-balanced rows that the model has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairaudit_mitigate.methods.method import HEAD, Method, mean_loss

if TYPE_CHECKING:
    from fairaudit_mitigate.fit import Fitted
    from fairaudit_mitigate.task import Task


def fit(task: Task) -> Fitted:
    """See `reweighting`; imported when called: the registry needs no torch."""
    from fairaudit_mitigate.refit import refit

    return refit(task)


METHOD = Method(
    "dfr",
    "the last layer only: logistic regression on group-balanced held-out features, in seconds",
    HEAD,
    True,
    1e-3,
    mean_loss,
    fit=fit,
    needs="groups and a val split the model has not seen: half of it is fitted, the other half chooses",
    choose="after fine-tuning (mitigate --method lora --merge, then dfr on merged/), with 20 val rows or more a cell",
    paper="Kirichenko et al. 2023, arXiv 2204.02937",
    fits_validation=True,
    reads=(),
)
