"""What a mitigation leaves beside the artefact, so that others can check it: audits, verdicts, history, manifest."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.store import write_text

if TYPE_CHECKING:
    from fairaudit import Audit, Verdict
    from fairaudit_mitigate.fit import Fitted
    from fairaudit_mitigate.reaudit import Proof

BEFORE, AFTER = "predictions_before.parquet", "predictions_after.parquet"
LOGS = "logs"
#: The verdicts of a policy, in the order in which they are reached, and what each is about.
VERDICTS = (("verdict_before", BEFORE), ("verdict_after", AFTER))


def results_of(fitted: Fitted, difference: float) -> dict[str, object]:
    """What training came to, for the manifest. `difference`: of the logits after reading the artefact back."""
    return {
        "repaired": True,
        "trainable_parameters": fitted.adaptation.trainable,
        "parameters": fitted.adaptation.total,
        "targets": list(fitted.adaptation.targets),
        "heads": list(fitted.adaptation.heads),
        "groups": fitted.groups.counts(),
        "best_step": fitted.best.step,
        "validation": dict(fitted.best.metrics or {}),
        "largest_logit_difference_after_reload": difference,
        "seconds_training": fitted.seconds,
        "peak_memory_bytes": fitted.peak_memory,
    }


def named(verdicts: Sequence[Verdict]) -> list[dict[str, object]]:
    """The verdicts as the manifest names them: file, outcome, and the checksums that tie it to rows and policy."""
    return [
        {
            "file": f"{name}.json",
            "predictions": about,
            "verdict": v.verdict,
            "exit_code": v.exit_code,
            "content_sha256": v.content_sha256,
            "policy_sha256": v.policy["sha256"],
        }
        for (name, about), v in zip(VERDICTS, verdicts, strict=False)
    ]


def write_audits(folder: Path, before: Audit, proof: Proof | None, method: str) -> None:
    """`audit_before.json`, and of a repair `audit_after.json` and `comparison.md`."""
    from fairaudit.report import markdown

    write_text(folder / "audit_before.json", before.to_json())
    if proof is not None:
        write_text(folder / "audit_after.json", proof.after.to_json())
        write_text(folder / "comparison.md", markdown.comparison(proof.comparison, "before", method))


def write_verdicts(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """`verdict_before.json` and `.md`, and of a repair `verdict_after` alike."""
    from fairaudit.report import markdown

    for (name, about), v in zip(VERDICTS, verdicts, strict=False):
        write_text(folder / f"{name}.json", v.to_json())
        write_text(folder / f"{name}.md", markdown.verdict(v, about))


def write_history(folder: Path, history: Iterable[Mapping[str, object]]) -> None:
    """`history.jsonl`, one record a step."""
    write_text(folder / "history.jsonl", "".join(json.dumps(plain(record)) + "\n" for record in history))


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """`manifest.json`."""
    write_text(folder / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """The value with null for numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
