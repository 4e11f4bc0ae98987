"""HateCheck in five folds, split so that no template, and nothing derived from a template, leaks.

HateCheck (Röttger et al., ACL 2021) fills templates with identity terms: one template gives up to seven sentences that
differ in the identity only, and many templates are variants of another (a spelling, a negation, a quotation), which
`ref_templ_id` names. Rows split at random would put near copies of a test sentence into training. So the unit of the
split is a *family*: all templates that are connected by `templ_id` and `ref_templ_id`.

    python examples/hatecheck/make_data.py hatecheck_cases.csv.gz DATA_FOLDER

writes DATA_FOLDER/fold0.parquet … fold4.parquet. Fold k is the test split of file k, fold k + 1 its validation split,
the other three its training split; so every row is a test row of exactly one file. Folds are stratified by label and
identity. The sentences are offensive: nothing here prints one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

FOLDS = 5


def families(templates: pd.Series[str], references: pd.Series[str]) -> pd.Series[str]:
    """The family of each row: the smallest template number connected with its own by references (union–find)."""
    parent = {int(t): int(t) for t in templates}

    def root(t: int) -> int:
        while parent[t] != t:
            t = parent[t]
        return t

    for own, other in zip(templates, references, strict=True):
        if other:
            a, b = root(int(own)), root(int(float(other)))  # the file writes references as 242.0
            parent[max(a, b)] = min(a, b)
    return templates.map(lambda t: str(root(int(t))))


def cases(source: Path) -> pd.DataFrame:
    """The columns that are trained on and audited, one row a sentence, with its family and its fold."""
    raw = pd.read_csv(source, dtype=str, keep_default_na=False)
    frame = pd.DataFrame(
        {
            "id": raw["case_id"],
            "text": raw["test_case"],
            "label": raw["label_gold"],
            "target_ident": raw["target_ident"],  # empty: the sentence is about no identity group
            "functionality": raw["functionality"],
            "template": raw["templ_id"],
            "family": families(raw["templ_id"], raw["ref_templ_id"]),
        }
    )
    fold = pd.Series(0, index=frame.index)
    split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    cells = frame["label"] + " " + frame["target_ident"]
    for k, (_, held) in enumerate(split.split(frame, cells, frame["family"])):
        fold.iloc[held] = k
    return frame.assign(fold=fold, target_ident=frame["target_ident"].replace("", None))


def with_split(frame: pd.DataFrame, k: int) -> pd.DataFrame:
    """The rows with the split column of run k."""
    names = {k: "test", (k + 1) % FOLDS: "val"}
    return frame.assign(split=frame["fold"].map(lambda f: names.get(f, "train"))).drop(columns="fold")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="hatecheck_cases.csv, gzipped or not")
    parser.add_argument("out", type=Path, help="folder to write")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    frame = cases(args.source)
    for k in range(FOLDS):
        with_split(frame, k).to_parquet(args.out / f"fold{k}.parquet", index=False)
    print(
        frame.groupby(["fold", "label"]).agg(rows=("id", "size"), families=("family", "nunique")).to_string()
    )


if __name__ == "__main__":
    main()
