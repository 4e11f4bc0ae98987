"""Plain LoRA: the baseline of every comparison."""

from fairaudit_mitigate.methods.method import ADAPTER, SAMPLING_ONLY, Method, mean_loss

METHOD = Method(
    "lora",
    "LoRA adapters and the head, mean loss",
    ADAPTER,
    False,
    1e-3,
    mean_loss,
    choose="as the rival of every other method: what fine-tuning alone does to the groups",
    paper="Hu et al. 2021, arXiv 2106.09685",
    reads=SAMPLING_ONLY,
)
