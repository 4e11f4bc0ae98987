"""What every metric, rule and word means: definition, formula, plain words, and when it misleads.

`explain` answers for one name, `topics` lists all of them, `of_rule` tells one rule of a policy in words. The texts
lie beside this file as TOML; what the catalogue says of a metric is taken from there and not written twice.
"""

from __future__ import annotations

from fairaudit.explanations.entries import Explanation, explain, topics
from fairaudit.explanations.rules import of_rule

__all__ = ["Explanation", "explain", "of_rule", "topics"]
