"""The metrics as values: what each is, where it stands, which way is better, and who defined it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from fairaudit import calibration, classwise, disparity, losses, membership, reliance, scores
from fairaudit.estimate import Estimate
from fairaudit.view import FOLDED, NO_INTERVALS, View

_FAIRLORA = "Sukumaran et al. 2024, arXiv 2410.17358, section 5"
_FAIRLEARN = "Bird et al. 2020, fairlearn.metrics"
_HARDT = "Hardt, Price & Srebro 2016"
_HANLEY = "Hanley & McNeil 1982; DeLong et al. 1988"
_RATES = "Fawcett 2006, An introduction to ROC analysis"


def _always(_: View) -> bool:
    return True


def _positive(view: View) -> bool:
    return view.positive is not None


def _several(view: View) -> bool:
    return not view.binary


def _losses(view: View) -> bool:
    return "loss" in view.labels.measures


def _scored(view: View) -> bool:
    return view.scores is not None and (view.positive is not None or "correct" in view.scores.axes)


def _binary_scores(view: View) -> bool:
    return _scored(view) and view.scores is not None and "correct" not in view.scores.axes


def _class_scores(view: View) -> bool:
    return bool(view.score_classes)


def _members(view: View) -> bool:
    return "member" in view.labels.axes


#: Metrics of scores that also stand for single classes, where `score_classes` asks for them.
SCORES_OF_CLASSES = ("roc_auc", "ece", "brier")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `better`: `higher`, `lower` or `` (neither: a description). `gap`: 0 means that nothing differs,
    so a lower bound above 0 is a flag. `where`: kinds of view it stands in (`overall`, `class`, `attribute`).
    `low`, `high`: its bounds. `compute(view, id)` yields its estimates where `needs(view)` holds.
    """

    id: str
    meaning: str
    formula: str
    source: str
    where: tuple[str, ...]
    compute: Callable[[View, str], Iterator[Estimate]]
    needs: Callable[[View], bool] = _always
    better: str = "higher"
    gap: bool = False
    low: float = 0.0
    high: float = 1.0


def _rate(name: str, formula: str, meaning: str, better: str = "higher") -> Metric:
    needs = _always if name == "accuracy" else _positive
    return Metric(name, meaning, formula, _RATES, ("overall", "attribute"), disparity.rate, needs, better)


def _pair(name: str, rates: tuple[str, ...], meaning: str, source: str) -> tuple[Metric, Metric]:
    shown = " and ".join(rates)
    return (
        Metric(f"{name}_difference", f"{meaning}, as the largest gap", f"max − min over groups of {shown}",
               source, ("attribute",), partial(disparity.difference, rates=rates), _positive, "lower", gap=True),
        Metric(f"{name}_ratio", f"{meaning}, as the smallest ratio", f"min / max over groups of {shown}",
               source, ("attribute",), partial(disparity.ratio, rates=rates), _positive, "higher"),
    )  # fmt: skip


def _to_overall(rate: str) -> Metric:
    needs = _always if rate == "accuracy" else _positive
    return Metric(f"{rate}_to_overall", f"{rate} of a group minus that of all rows", f"{rate}[s] − {rate}", _FAIRLEARN,
                  ("attribute",), partial(disparity.to_overall, rate=rate), needs, "", low=-1.0)  # fmt: skip


_CLASS_OR_GROUP = ("class", "attribute")
_CLASS = ("class",)
_GROUPS = ("attribute",)
_EVERYWHERE = ("overall", "class", "attribute")
_ALL_OR_GROUP = ("overall", "attribute")

CATALOGUE: tuple[Metric, ...] = (
    _rate("accuracy", "P(Ŷ = Y)", "share of rows predicted right, over rows"),
    Metric("f1_macro", "F1 averaged over the classes present", "mean over c of F1[c]", _FAIRLORA,
           ("overall", "attribute"), classwise.macro),
    Metric("recall_macro", "recall averaged over the classes present", "mean over c of recall[c]", _FAIRLORA,
           ("overall", "attribute"), classwise.macro),
    Metric("f1", "F1 of a class over all rows", "2TP / (2TP + FP + FN)", _FAIRLORA, _CLASS, classwise.f1),
    Metric("recall", "recall of a class over all rows", "P(Ŷ = c | Y = c)", _FAIRLORA, _CLASS, classwise.recall),
    Metric("precision", "precision of a class over all rows", "P(Y = c | Ŷ = c)", _RATES, _CLASS, classwise.precision),
    _rate("selection_rate", "P(Ŷ = 1)", "share of rows predicted positive", ""),
    _rate("tpr", "P(Ŷ = 1 | Y = 1)", "share of the positives found (recall)"),
    _rate("fpr", "P(Ŷ = 1 | Y ≠ 1)", "share of the negatives called positive", "lower"),
    _rate("tnr", "P(Ŷ ≠ 1 | Y ≠ 1)", "share of the negatives left alone"),
    _rate("fnr", "P(Ŷ ≠ 1 | Y = 1)", "share of the positives missed", "lower"),
    _rate("ppv", "P(Y = 1 | Ŷ = 1)", "share of the predicted positives that are right (precision)"),
    _rate("npv", "P(Y ≠ 1 | Ŷ ≠ 1)", "share of the predicted negatives that are right"),
    Metric("tpr", "share of a class found, in each group", "P(Ŷ = c | Y = c, S = s)", _HARDT, _GROUPS,
           disparity.recall_by_cell, _several),
    Metric("eod", "gap between a group and all others in how often a class is found",
           "|P(Ŷ = c | Y = c, S = s) − P(Ŷ = c | Y = c, S ≠ s)|", _FAIRLORA, _GROUPS, disparity.eod,
           better="lower"),
    Metric("f1_min", "the worst-served class or group", "min of F1", _FAIRLORA, _CLASS_OR_GROUP, classwise.panel),
    Metric("f1_median", "the class or group in the middle", "median of F1", _FAIRLORA, _CLASS_OR_GROUP,
           classwise.panel),
    Metric("recall_min", "the worst recall", "min of recall", _FAIRLORA, _CLASS_OR_GROUP, classwise.panel),
    Metric("f1_delta", "gap between best- and worst-served", "max − min of F1", _FAIRLORA, _CLASS_OR_GROUP,
           classwise.panel, better="lower", gap=True),
    *(_to_overall(rate) for rate in ("accuracy", "selection_rate", "tpr", "fpr")),
    *_pair("demographic_parity", ("selection_rate",), "whether groups are selected alike", _FAIRLEARN),
    *_pair("equalized_odds", ("tpr", "fpr"), "whether groups have the same errors", _HARDT),
    *_pair("equal_opportunity", ("tpr",), "whether positives are found alike", _HARDT),
    *_pair("predictive_parity", ("ppv",), "whether positive predictions mean the same", "Chouldechova 2017"),
    Metric("eod_max", "largest one-vs-all gap in finding a class", "max of eod (positive class if binary)", _FAIRLORA,
           _GROUPS, disparity.eod_max, better="lower", gap=True),
    Metric("eod_macro", "largest one-vs-all gap, averaged over classes", "mean over c of max over s of eod[c, s]",
           _FAIRLORA, _GROUPS, disparity.eod_macro, better="lower"),
    Metric("worst_group_accuracy", "accuracy of the worst cell", "min over cells of P(Ŷ = c | Y = c, S = s)",
           "Sagawa et al. 2020, Waterbirds", _GROUPS, disparity.worst_cell),
    Metric("loss", "mean cross-entropy", "mean of −ln P(Y)", _FAIRLORA, _EVERYWHERE, losses.mean_loss, _losses,
           "lower", high=float("inf")),
    Metric("loss_variance", "spread of the mean losses", "(1/G) Σ (L_g − L̄)²", _FAIRLORA, _CLASS_OR_GROUP,
           losses.loss_variance, _losses, "lower", high=float("inf")),
    Metric("sensitive_accuracy", "how often the prediction agrees with the attribute under the declared map",
           "P(m(Ŷ) = S)", _FAIRLORA, _GROUPS, reliance.sensitive_accuracy, reliance.applies, ""),
    Metric("sensitive_leakage", "how well the best map from predictions to groups would do",
           "Σ over ŷ of max over s of n(ŷ, s) / n", _FAIRLORA, _GROUPS, reliance.sensitive_leakage,
           lambda view: not reliance.applies(view), ""),
    Metric("roc_auc", "chance that a positive scores above a negative", "P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)",
           _HANLEY, _ALL_OR_GROUP, scores.roc_auc, _binary_scores),
    Metric("ece", "distance of stated from observed probability", "Σ (n_b/n) |ȳ_b − s̄_b|, 15 equal-width bins",
           "Guo et al. 2017", ("overall", "attribute"), calibration.ece, _scored, "lower"),
    Metric("ece_mass", "distance of stated from observed probability, bins with the same number of rows",
           "Σ (n_b/n) |ȳ_b − s̄_b|, 15 equal-mass bins", "Nguyen & O'Connor 2015; Nixon et al. 2019",
           ("overall", "attribute"), calibration.ece_mass, _scored, "lower"),
    Metric("brier", "mean squared error of the probability", "mean of (s − y)²", "Brier 1950", ("overall", "attribute"),
           calibration.brier, _scored, "lower"),
    Metric("roc_auc", "chance that a row of a class has a higher probability of it than a row of another",
           "P(s⁺ > s⁻) + ½ P(s⁺ = s⁻), class c against the rest", _HANLEY, _ALL_OR_GROUP,
           scores.roc_auc_by_class, _class_scores),
    Metric("roc_auc_macro", "area under the ROC curve, averaged over classes against the rest",
           "mean over c of roc_auc[c]", _HANLEY, _ALL_OR_GROUP, scores.roc_auc_macro, _class_scores),
    Metric("ece", "distance of the stated from the observed probability of a class",
           "Σ (n_b/n) |ȳ_b − s̄_b|, 15 equal-width bins, class c against the rest", "Guo et al. 2017",
           _ALL_OR_GROUP, partial(scores.by_class, compute=calibration.ece), _class_scores, "lower"),
    Metric("brier", "mean squared error of the probability of a class", "mean of (s − y)², class c against the rest",
           "Brier 1950", _ALL_OR_GROUP, partial(scores.by_class, compute=calibration.brier), _class_scores,
           "lower"),
    Metric("membership_advantage", "how much a training row is recognised by being right",
           "P(right | member) − P(right | non-member)", "Yeom et al. 2018", ("overall", "attribute"),
           membership.advantage, _members, "lower", low=-1.0),
)  # fmt: skip

#: id -> the metric (the first entry where one id stands in several kinds of view).
BY_ID: dict[str, Metric] = {m.id: m for m in reversed(CATALOGUE)}


def estimates(view: View) -> Iterator[Estimate]:
    """Every estimate of the catalogue that applies to a view and is asked for, in catalogue order."""
    asked, bare = view.settings.metrics, view.settings.interval == NO_INTERVALS
    for metric in CATALOGUE:
        if view.kind in metric.where and (not asked or metric.id in asked) and metric.needs(view):
            for e in metric.compute(view, metric.id):
                if e.group == FOLDED:
                    continue
                yield replace(e, interval=None) if bare and e.interval is not None else e
