"""LoRA on group-balanced batches: the simplest cure, and the one every other method has to beat."""

from fairaudit_mitigate.methods.method import ADAPTER, BALANCED, SAMPLING_ONLY, Method, Terms, mean_loss

METHOD = Method(
    "balanced-lora",
    "LoRA adapters and the head, mean loss over steps that hold every group equally often",
    ADAPTER,
    True,
    1e-3,
    mean_loss,
    Terms(sampling=BALANCED),
    needs="groups of the train rows; every group has a row, and small ones are repeated",
    choose="where groups differ in size, and as the rival of every penalty: it has no setting to choose",
    paper="Idrissi et al. 2022, arXiv 2110.14503 (there: RWG); Sagawa et al. 2020, arXiv 1911.08731",
    reads=SAMPLING_ONLY,
)
