"""FairLoRA repaired: only groups above the mean loss are pulled, by losses remembered across steps."""

from fairaudit_mitigate.methods.method import ADAPTER, MEAN, MEMORY, UP, Method, Terms, penalised

METHOD = Method(
    "fairlora-up",
    "LoRA that weighs up the groups whose remembered loss is above the mean, and nobody down on purpose",
    ADAPTER,
    True,
    1e-3,
    penalised,
    Terms(penalty=10.0, reduction=MEAN, sided=UP, estimate=MEMORY, adjustment=1.0, decay=0.98),
    needs="groups of the train rows",
    choose="as a first choice with groups: its λ means the same for any number of groups and cannot diverge",
    paper="a repair of FairLoRA, arXiv 2410.17358: one side, a memory, weights that add up to 1",
)
