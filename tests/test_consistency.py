"""`fairaudit explain --check-table`: numbers of a true confusion matrix pass, numbers that none can have are found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairaudit.consistency import Checked, averaging_gap, check_row, check_table, implied_accuracy
from fairaudit.published import Printed, PublishedRow, read_published
from fairaudit_cli.main import run

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "paper_tables.csv"
TWO = "accuracy from two F1"
HEAD = "table,dataset,model,method,metric,mean,spread"
Matrix = Sequence[Sequence[int]]


def numbers_of(matrix: Matrix) -> dict[str, float]:
    """Accuracy, F1 and recall of a confusion matrix [true][predicted], by naive loops."""
    k, total = len(matrix), sum(map(sum, matrix))
    f1, recall = [], []
    for c in range(k):
        tp = matrix[c][c]
        fn = sum(matrix[c]) - tp
        fp = sum(matrix[t][c] for t in range(k)) - tp
        f1.append(2 * tp / (2 * tp + fp + fn))
        recall.append(tp / (tp + fn))
    return {"accuracy": sum(matrix[c][c] for c in range(k)) / total, "f1_min": min(f1), "f1_delta": max(f1) - min(f1),
            "recall_min": min(recall)}  # fmt: skip


def row(
    numbers: dict[str, float], classes: int | None = 2, digits: int = 4, perfect: float | None = None
) -> PublishedRow:
    """The numbers as a table prints them."""
    half = 0.5 * 10.0**-digits
    printed = {m: Printed(round(v, digits), half) for m, v in numbers.items()}
    return PublishedRow(("mine", *[""] * 7), ("1",), printed, classes, perfect)


def statuses(checked: Checked) -> dict[str, str]:
    return {c.rule: c.status for c in checked.checks}


def test_a_confusion_matrix_worked_by_hand() -> None:
    # 100 rows: of 40 positives 30 are found, of 60 negatives 54. F1: 60/(60+16) and 108/(108+16); 84 are right.
    numbers = numbers_of([[30, 10], [6, 54]])
    assert numbers["f1_min"] == pytest.approx(60 / 76)
    assert numbers["f1_delta"] == pytest.approx(108 / 124 - 60 / 76)
    assert implied_accuracy(numbers["f1_min"], numbers["f1_delta"]) == pytest.approx(0.84)
    checked = check_row(row(numbers))
    assert checked.status == "consistent"
    assert checked.implied_share == pytest.approx(0.40, abs=2e-3)


def test_the_limits_of_the_formula() -> None:
    assert implied_accuracy(1.0, 0.0) == 1.0
    assert implied_accuracy(0.0, 0.0) == 0.0
    assert implied_accuracy(0.0, 0.5) == pytest.approx(1 / 3)  # never found: A = F/(2 − F)


cells = st.integers(0, 400)


@given(st.tuples(cells, cells, cells, cells), st.integers(2, 6), st.integers(0, 1))
def test_the_numbers_of_any_two_class_matrix_pass(found: tuple[int, ...], digits: int, order: int) -> None:
    a, b, c, d = found
    assume(a + b > 0 and c + d > 0)
    numbers = numbers_of([[a, b], [c, d]])
    assert implied_accuracy(numbers["f1_min"], numbers["f1_delta"]) == pytest.approx(numbers["accuracy"])
    assert check_row(row(numbers, digits=digits)).status == "consistent"


@given(st.tuples(cells, cells, cells, cells), st.floats(0.002, 0.3), st.booleans())
def test_a_changed_accuracy_is_found(found: tuple[int, ...], by: float, up: bool) -> None:
    a, b, c, d = found
    assume(a > 0 and d > 0 and b + c > 0)
    numbers = numbers_of([[a, b], [c, d]])
    numbers["accuracy"] += by if up else -by
    # 0.002 is 0.2 points: beyond the tolerance of 0.05 and what four decimals leave open (at most 3 half units).
    assert statuses(check_row(row(numbers)))[TWO] == "inconsistent"


@given(
    st.integers(2, 6).flatmap(
        lambda k: st.lists(st.lists(cells, min_size=k, max_size=k), min_size=k, max_size=k)
    )
)
def test_the_bounds_hold_for_any_number_of_classes(matrix: list[list[int]]) -> None:
    assume(all(map(sum, matrix)))
    checked = check_row(row(numbers_of(matrix), classes=len(matrix)))
    assert checked.status == "consistent"
    assert statuses(check_row(row(numbers_of(matrix), classes=None)))["accuracy in F1 range"] == "consistent"


@given(st.lists(st.tuples(*[st.integers(0, 60)] * 2), min_size=4, max_size=4))
def test_sensitive_accuracy_of_a_balanced_test_stays_below_half_and_error(
    found: list[tuple[int, int]],
) -> None:
    # (class, place) cells of 60 rows each; `found`: how many of each cell are called class 0 (place 0 is its own).
    called = [n for n, _ in found]
    right = sum(n if i < 2 else 60 - n for i, n in enumerate(called))
    agrees = sum(n if i % 2 == 0 else 60 - n for i, n in enumerate(called))
    numbers = {"accuracy": right / 240, "sensitive_accuracy": agrees / 240}
    assert check_row(row(numbers, perfect=0.5)).status == "consistent"
    numbers["sensitive_accuracy"] = 1.5 - numbers["accuracy"] + 0.01
    if numbers["sensitive_accuracy"] < 1:
        assert check_row(row(numbers, perfect=0.5)).status == "inconsistent"


steps = st.integers(-12, 12)


@given(st.tuples(st.integers(150, 300), st.integers(40, 120), st.integers(40, 120), st.integers(600, 900)),
       st.lists(st.tuples(steps, steps), min_size=3, max_size=3), st.booleans())  # fmt: skip
def test_means_over_seeds_are_never_called_inconsistent(
    start: tuple[int, ...], moved: list[tuple[int, int]], told: bool
) -> None:
    a, b, c, d = start
    runs = [numbers_of([[a + x, b - x], [c + y, d - y]]) for x, y in moved]
    printed = {}
    for metric in runs[0]:
        values = [r[metric] for r in runs]
        mean = sum(values) / 3
        spread = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
        has = told or metric != "accuracy"
        printed[metric] = Printed(round(mean, 4), 5e-5, round(spread, 4) if has else None, 5e-5)
    found = check_row(PublishedRow(("mine", *[""] * 7), ("",), printed, 2))
    assert found.status in ("consistent", "inconclusive")
    exact = sum(r["accuracy"] for r in runs) / 3
    implied = implied_accuracy(sum(r["f1_min"] for r in runs) / 3, sum(r["f1_delta"] for r in runs) / 3)
    assert implied <= exact + 1e-12  # Jensen: averaging only raises it
    assert exact - implied <= averaging_gap(found.row) + 5e-4


def test_the_gap_of_averaging_is_the_exact_one_to_second_order() -> None:
    # d = (0.4, 0.2) and δ = ±(0.02, −0.01): E falls by the mean of 2 (b δa − a δb)² / ((a + b)² (a' + b')).
    runs = [(0.58, 0.81), (0.62, 0.79)]
    accuracies = [implied_accuracy(f, g - f) for f, g in runs]
    mean, deviation = sum(accuracies) / 2, abs(accuracies[0] - accuracies[1]) / 2
    spread, gap_spread = 0.02 * 2**0.5, 0.03 * 2**0.5
    numbers = {
        "f1_min": Printed(0.6, 0, spread),
        "f1_delta": Printed(0.2, 0, gap_spread),
        "accuracy": Printed(mean, 0, deviation * 2**0.5),
    }
    gap = averaging_gap(PublishedRow(("", *[""] * 7), (), numbers, 2))
    exact = mean - implied_accuracy(0.6, 0.2)
    assert exact == pytest.approx(2 * (0.2 * 0.02 + 0.4 * 0.01) ** 2 / (0.6**2) * (1 / 0.61 + 1 / 0.59) / 2)
    wider = 1 + 2 * spread / 0.2  # the room for what the second order leaves out
    assert gap == pytest.approx(
        2 * wider * exact, rel=0.02
    )  # a sample variance of two is twice their mean square


def test_what_only_averaging_explains_is_inconclusive() -> None:
    numbers = {"f1_min": Printed(0.65, 5e-5, 0.058, 5e-5), "f1_delta": Printed(0.22, 5e-5, 0.038, 5e-5),
               "accuracy": Printed(implied_accuracy(0.65, 0.22) + 0.01, 5e-5)}  # fmt: skip
    found = check_row(PublishedRow(("mine", *[""] * 7), (), numbers, 2))
    assert statuses(found)[TWO] == "inconclusive"
    assert found.status == "inconclusive"


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data/paper_tables.csv")
def test_the_tables_of_the_paper() -> None:
    found = check_table(read_published(str(SHARED)))
    assert len(found) == 24
    wrong = {c.row.key[2]: c for c in found if c.status == "inconsistent"}
    assert {c.row.key[:2] for c in wrong.values()} == {("Waterbirds", "CLIP ViT-B/32")}
    implied = {m: next(k for k in c.checks if k.implied is not None) for m, c in wrong.items()}
    assert {m: (round(100 * (k.reported or 0), 2), round(100 * (k.implied or 0), 2)) for m, k in implied.items()} == {
        "LoRA": (93.83, 87.65), "FairLoRA": (93.87, 87.74), "FFT": (92.27, 84.54), "FairFFT": (92.24, 84.48),
    }  # fmt: skip
    assert sum(c.status == "consistent" for c in found if "2" in c.row.tables) == 8
    assert all(c.implied_share == pytest.approx(1284 / 5794, abs=0.002) for c in found if "2" in c.row.tables)


LONG = f"""{HEAD}
2,Waterbirds,CLIP,LoRA,accuracy,93.83,0.81
2,Waterbirds,CLIP,LoRA,f1_min,72.74,2.94
2,Waterbirds,CLIP,LoRA,f1_delta,19.28,1.84
"""
SAME = {
    "long": LONG,
    "shares": f"{HEAD}\n" + "".join(
        f"2,Waterbirds,CLIP,LoRA,{m},{v},\n"
        for m, v in (("accuracy", ".9383"), ("f1_min", "0.7274"), ("f1_delta", "1.928e-1"))
    ),
    "wide": "dataset,method,accuracy,F1 min,ΔF1,notes\nWaterbirds,LoRA,93.83 ± 0.81,72.74±2.94,19.28 +/- 1.84,hm\n",
    "wide, spread apart": "Method,Classes,Accuracy,Accuracy_SD,f1_min,f1_delta\nLoRA,2,93.83,0.81,72.74,19.28\n",
    "semicolons": LONG.replace(",", ";"),
    "a BOM, blank lines": "\ufeff" + LONG.replace("\n", "\r\n\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("form", SAME)
def test_forms_of_a_table(form: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(SAME[form].encode())
    (found,) = check_table(read_published(str(tmp_path / "t.csv")))
    (two,) = (c for c in found.checks if c.rule == TWO)
    assert two.status == "inconsistent"
    assert two.reported == pytest.approx(0.9383)
    assert two.implied == pytest.approx(0.87654, abs=1e-5)


@pytest.mark.parametrize(
    ("lines", "rule", "reason"),
    [
        ("9,X,m,l,accuracy,90,\n9,X,m,l,f1_min,80,\n9,X,m,l,f1_delta,15,", TWO, "add a column `classes`"),
        ("9,GeoDE,m,l,accuracy,90,\n9,GeoDE,m,l,f1_min,80,\n9,GeoDE,m,l,f1_delta,15,", TWO, "40 classes"),
        ("9,Waterbirds,m,l,accuracy,90,\n9,Waterbirds,m,l,f1_min,80,", TWO, "f1_delta not reported"),
        ("9,X,m,l,accuracy,90,\n9,X,m,l,sensitive_accuracy,80,", "sensitive accuracy", "add a column `perfect`"),
        ("9,X,m,l,accuracy,90,\n9,X,m,l,recall_min,n/a,", "recall ≤ accuracy", "recall_min not reported"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_says_why(lines: str, rule: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{HEAD}\n{lines}\n", encoding="utf-8")
    (found,) = check_table(read_published(str(tmp_path / "t.csv")))
    (check,) = (c for c in found.checks if c.rule == rule)
    assert check.status == "not checkable"
    assert reason in check.reason


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ({"accuracy": 143.0, "recall_min": 50.0}, "range of accuracy"),
        ({"accuracy": 80.0, "f1_min": 81.0, "f1_delta": 2.0}, "accuracy in F1 range"),
        ({"accuracy": 80.0, "recall_min": 81.0}, "recall ≤ accuracy"),
        ({"recall_min": 30.0, "f1_min": 50.0}, "recall ≥ F1/(2 − F1)"),
        ({"f1_delta": 30.0, "f1_min": 75.0}, "largest F1 ≤ 1"),
        ({"worst_group_accuracy": 61.0, "recall_min": 60.0}, "worst cell ≤ recall"),
    ],
)  # fmt: skip
def test_each_rule_can_fail(numbers: dict[str, float], rule: str, tmp_path: Path) -> None:
    text = ",".join(numbers) + "\n" + ",".join(map(str, numbers.values())) + "\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    (found,) = check_table(read_published(str(tmp_path / "t.csv")))
    assert statuses(found)[rule] == "inconsistent"


def test_numbers_are_intervals_of_their_printed_decimals(tmp_path: Path) -> None:
    # 22.5 stands in a column with two decimals: ± 0.005, not ± 0.05.
    (tmp_path / "t.csv").write_text("method,accuracy,f1_min\na,93.83,22.5\nb,93,22.51\n", encoding="utf-8")
    table = read_published(str(tmp_path / "t.csv"))
    assert [r.numbers["f1_min"].half for r in table.rows] == pytest.approx([5e-5, 5e-5])
    assert table.rows[1].numbers["accuracy"].half == pytest.approx(5e-5)
    (tmp_path / "t.csv").write_text("method,accuracy,f1_min\na,94,22.5\n", encoding="utf-8")
    assert read_published(str(tmp_path / "t.csv")).rows[0].numbers["accuracy"].half == pytest.approx(5e-3)


def test_tables_that_differ_on_a_row_are_not_joined(tmp_path: Path) -> None:
    lines = ["1,W,m,l,accuracy,90,", "2,W,m,l,accuracy,91,", "2,W,m,l,f1_min,80,"]
    (tmp_path / "t.csv").write_text("\n".join([HEAD, *lines]), encoding="utf-8")
    assert [r.tables for r in read_published(str(tmp_path / "t.csv")).rows] == [("1",), ("2",)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no rows"),
        (HEAD, "no rows"),
        ("a,b\n1,2", "no number of a metric"),
        (f"{HEAD}\n1,W,m,l,accuracy,high,", ":2: accuracy is a number such as 93.83, not 'high'"),
        (f"{HEAD}\n1,W,m,l,accuracy,90,-1", "spread of 0 or more"),
        (f"{HEAD}\n1,W,m,l,accuracy,90,x", "not 'x'"),
        (f"{HEAD}\n1,W,m,l,accuracy,90,\n1,W,m,l,accuracy,91,", "accuracy twice"),
        (f"{HEAD}\n1,W,m,l,accuracy,90", "6 cells where 7"),
        ("accuracy,classes\n90,one", "classes is a whole number"),
        ("accuracy,perfect\n90,150", "perfect is percent"),
        ("accuracy,accuracy\n90,91", "twice"),
        ('accuracy,f1_min\n"90,80', "not a CSV file"),
        ("accuracy\n1e999", "finite"),
    ],
)  # fmt: skip
def test_a_bad_table_is_one_sentence(
    content: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(content, encoding="utf-8")
    assert run(["explain", "--check-table", "t.csv", "-o", "md:a.md"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert said in err
    assert not Path("a.md").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--check-table", "absent.csv"], "no such file"),
        (["--check-table", "."], "is a folder"),
        (["--check-table", "b.csv"], "UTF-8"),
        (["tpr", "--check-table", "t.csv"], "stands alone"),
        (["--tolerance", "1"], "stands alone"),
        (["--check-table", "t.csv", "--tolerance", "nan"], "0 to 100"),
        (["--check-table", "t.csv", "--tolerance", "-1"], "0 to 100"),
        (["--check-table", "t.csv", "-o", "md:t.csv"], "read by this command"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(LONG, encoding="utf-8")
    Path("b.csv").write_bytes(b"\xff\xfe\x00")
    assert run(["explain", *arguments]) == 2
    assert said in capfd.readouterr().err
    assert Path("t.csv").read_text(encoding="utf-8") == LONG


def test_the_page_and_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(LONG + "2,Waterbirds,CLIP,LoRA,charm,3,\n", encoding="utf-8")
    command = ["explain", "--check-table", "t.csv"]
    assert run([*command, "-o", "md:a.md", "-o", "json:a.json", "-o", "text:a.txt"]) == 0
    shown = capfd.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert Path("a.txt").read_text(encoding="utf-8") == shown
    assert "1 of 1 rows are inconsistent" in shown
    assert "charm" in shown
    assert "87.65" in Path("a.md").read_text(encoding="utf-8")
    assert run([*command, "--json"]) == 0
    written = json.loads(capfd.readouterr().out)
    assert written["schema"] == "fairaudit.consistency"
    assert written["content"] == json.loads(Path("a.json").read_text(encoding="utf-8"))["content"]
    assert written["content"]["counts"]["inconsistent"] == 1
    assert written["content"]["rows"][0]["checks"][0]["implied"] == pytest.approx(87.654, abs=1e-3)
    assert written["content"]["unknown_metrics"] == ["charm"]
    assert run([*command, "--tolerance", "7", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["content"]["counts"]["inconsistent"] == 0
