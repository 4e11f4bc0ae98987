"""Full fine-tuning: every weight."""

from fairaudit_mitigate.methods.method import EVERYTHING, SAMPLING_ONLY, Method, mean_loss

METHOD = Method(
    "fft",
    "full fine-tuning: every weight, mean loss",
    EVERYTHING,
    False,
    3e-5,
    mean_loss,
    choose="where memory and time are no object; the rival of fair-fft, as lora is of fairlora",
    paper="compared with LoRA in FairLoRA, arXiv 2410.17358",
    reads=SAMPLING_ONLY,
)
