"""Full fine-tuning with FairLoRA's penalty (the paper's FairFFT)."""

from fairaudit_mitigate.methods.method import EVERYTHING, TERMS, Method, penalised

METHOD = Method(
    "fair-fft",
    "full fine-tuning with the penalty λ Σ(L_g − L̄)² on group losses",
    EVERYTHING,
    True,
    3e-5,
    penalised,
    needs="groups of the train rows",
    choose="to see what the penalty does without LoRA; as costly as fft",
    paper="FairLoRA's FairFFT, arXiv 2410.17358",
    reads=TERMS,
)
