"""−ln p as SQL, the same double in every engine: C's and Java's logarithms differ in the last bit, + − × ÷ do not."""

from __future__ import annotations

from math import sqrt

from fairaudit.reading.dialect import Dialect

#: p is scaled into [EDGE, 2·EDGE), where |s| = |(m − 1)/(m + 1)| ≤ 0.172 and ln m = 2·artanh s = 2s·(1 + s²/3 + …).
EDGE = sqrt(0.5)
#: With s² ≤ 0.0295 the first term left out is below 2⁻⁶⁰ of the whole.
TERMS = 11
#: ln 2 in two parts; the first has zeros at its end, so that small multiples of it are exact.
LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = 1.90821492927058770002e-10
_STEP, _STEPS = 8, 8  # powers of two: first by eights, then one by one


def with_surprise(body: str, p: str, name: str, d: Dialect) -> str:
    """SQL of the rows of `body` with a column `name`: −ln of the column `p`, which lies in [2⁻⁶³, 1]."""
    coarse = _scaled(body, p, f"{p}_coarse", _STEP, EDGE * 2.0**-_STEP, d)
    fine = _scaled(coarse, f"{p}_coarse", f"{p}_fine", 1, EDGE, d)
    m = f"{p}_fine"
    ratio = f"SELECT *, ({m} - {d.real(1.0)}) / ({m} + {d.real(1.0)}) AS {p}_ratio FROM ({fine}) scaled"
    square = f"SELECT *, {p}_ratio * {p}_ratio AS {p}_square FROM ({ratio}) divided"
    series = d.real(1 / (2 * TERMS + 1))
    for n in range(TERMS - 1, 0, -1):
        series = f"({d.real(1 / (2 * n + 1))} + {p}_square * {series})"
    twice = f"({d.real(2.0)} * {p}_ratio)"
    ln_m = f"({twice} + {twice} * ({p}_square * {series}))"
    k = f"({p}_coarse_power + {p}_fine_power)"
    whole = f"{k} * {d.real(LN2_HIGH)} - ({ln_m} - {k} * {d.real(LN2_LOW)})"
    return f"SELECT *, {whole} AS {name} FROM ({square}) squared"


def _scaled(body: str, p: str, name: str, step: int, least: float, d: Dialect) -> str:
    """Adds `name` = p · 2ᵏ ≥ `least` and `name`_power = k as a double, k the smallest multiple of `step` that does."""
    cases = [(f"WHEN {p} >= {d.real(least * 2.0 ** (-step * i))} THEN", step * i) for i in range(_STEPS)]
    values = " ".join(f"{when} {p} * {d.real(2.0**k)}" for when, k in cases)
    powers = " ".join(f"{when} {d.real(float(k))}" for when, k in cases)
    last = float(step * _STEPS)
    return (
        f"SELECT *, CASE {values} ELSE {p} * {d.real(2.0**last)} END AS {name}, "
        f"CASE {powers} ELSE {d.real(last)} END AS {name}_power FROM ({body}) unscaled"
    )
