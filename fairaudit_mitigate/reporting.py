"""Training watched from outside: TensorBoard and MLflow, through the integrations that Trainer has.

They get what Trainer logs: each step the loss, the learning rate and what the step did to the groups, each
evaluation the panel of the validation rows. A resumed run goes on in the same folder; TensorBoard hides what the
killed process had logged after its last checkpoint.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate import ranks
from fairaudit_mitigate.settings import MLFLOW, TENSORBOARD
from fairaudit_mitigate.task import Task

if TYPE_CHECKING:
    from transformers import TrainerCallback


def check_reporters(names: tuple[str, ...]) -> None:
    """Raise FairauditError for a library that is not there, or does not work there."""
    for name in names:
        try:
            _import(name)
        except ImportError as error:
            fact = (
                "is not installed" if isinstance(error, ModuleNotFoundError) else f"does not load ({error})"
            )
            raise FairauditError(
                f"--report-to {name} needs {name}, which {fact}; "
                "pip install 'fairaudit-toolkit[watch]', or leave it out."
            ) from error


def reporters_of(task: Task, after: int) -> list[TrainerCallback]:
    """The integrations asked for, on the rank that writes. `after`: the step that training goes on from."""
    wanted = task.settings.report_to
    check_reporters(wanted)
    if not wanted or not ranks.leads():
        return []
    if task.logs is None:
        raise FairauditError(
            "a report of the training needs a folder; give the task `logs`, or no report_to."
        )
    task.logs.mkdir(parents=True, exist_ok=True)
    made = {TENSORBOARD: _tensorboard, MLFLOW: _mlflow}
    return [made[name](task.logs.resolve() / name, after) for name in dict.fromkeys(wanted)]


def _import(name: str) -> Any:
    return import_module({TENSORBOARD: "torch.utils.tensorboard", MLFLOW: "mlflow"}[name])


def _tensorboard(folder: Path, after: int) -> TrainerCallback:
    from transformers.integrations.integration_utils import TensorBoardCallback

    return TensorBoardCallback(
        _import(TENSORBOARD).SummaryWriter(str(folder), purge_step=after + 1 if after else None)
    )


def _mlflow(folder: Path, after: int) -> TrainerCallback:  # noqa: ARG001
    """Runs go to the server of MLFLOW_TRACKING_URI, as everywhere with MLflow; without one to the folder."""
    from transformers.integrations.integration_utils import MLflowCallback

    mlflow = _import(MLFLOW)
    if "MLFLOW_TRACKING_URI" not in os.environ:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # else a folder is refused since MLflow 3
        mlflow.set_tracking_uri(folder.as_uri())
    return MLflowCallback()
