"""The names by which columns are known, and those that no attribute may have."""

from __future__ import annotations

from collections.abc import Mapping

#: Common names by role, compared in lower case. Two hits for one role are refused, never ranked.
KNOWN: Mapping[str, tuple[str, ...]] = {
    "y_true": (
        "y_true", "ytrue", "label", "labels", "target", "true_label", "label_true", "ground_truth",
        "actual", "label_value", "gold", "label_gold", "y",
    ),
    "y_pred": (
        "y_pred", "ypred", "pred", "preds", "prediction", "predictions", "predicted", "predicted_label",
        "label_pred", "pred_label", "y_hat", "yhat",
    ),
    "y_score": ("y_score", "score", "scores", "proba", "prob", "probability", "y_prob", "y_proba"),
    "loss": ("loss",),
    "member": ("member", "is_member"),
    "split": ("split",),
}  # fmt: skip
#: Names of attributes that are looked for when no `--sensitive` is given.
SENSITIVE = ("sex", "gender", "race", "ethnicity", "race_ethnicity", "age_group", "age_cat", "religion", "nationality",
             "disability", "region", "place", "colour", "color", "target_ident", "group")  # fmt: skip
#: The scan's own axes and the audit's own views; an attribute of such a name could not be told from them.
RESERVED = (
    "overall", "class", "y_true", "y_pred", "y_pred_before", "member", "bucket", "correct", "score_bin",
    "score_class", "over_cut",
)  # fmt: skip
PREFIXES = ("prob_", "proba_", "y_prob_")
