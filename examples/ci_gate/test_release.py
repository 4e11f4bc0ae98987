"""The release gate as tests. The fixture comes with fairaudit, which pytest finds by itself."""


def test_release(fairaudit_gate):
    fairaudit_gate("preds.csv", "fairaudit.toml")


def test_repaired_release(fairaudit_gate):
    verdict = fairaudit_gate("repaired.csv", "fairaudit.toml", baseline="preds.csv")
    assert verdict.verdict == "pass"
