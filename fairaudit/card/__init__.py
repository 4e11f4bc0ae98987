"""Cards: what an audit says, in the forms that others ask for.

`huggingface` (metadata and section of a model card), `ll144` (the summary of results of New York City's Local Law
144) and `cyclonedx` (a bill of materials). None of them calls a model by a word that an audit cannot prove: where
nothing is shown they say how large a gap the data could have shown (`facts`).
"""

from __future__ import annotations

from fairaudit.card.facts import Names, Source, read

__all__ = ["Names", "Source", "read"]
