"""FairLoRA repaired: balanced batches, and only groups whose remembered loss is above the mean are pulled."""

from fairaudit_mitigate.methods.method import (
    ADAPTER,
    BALANCED,
    MEAN,
    MEMORY,
    TERMS,
    UP,
    Method,
    Terms,
    penalised,
)

METHOD = Method(
    "fairlora-up",
    "LoRA that weighs up the groups whose remembered loss is above the mean, and nobody down on purpose",
    ADAPTER,
    True,
    1e-3,
    penalised,
    # Balanced: a rare group's rows then need no large weight, so steps differ less from one another.
    Terms(
        penalty=10.0, reduction=MEAN, sided=UP, estimate=MEMORY, sampling=BALANCED, adjustment=1.0, decay=0.98
    ),
    needs="groups of the train rows",
    choose="where the worst cell counts most; λ means the same for any number of groups; compare balanced-lora",
    paper="a repair of FairLoRA, arXiv 2410.17358: one side, a memory, weights that add up to 1",
    reads=TERMS,
)
