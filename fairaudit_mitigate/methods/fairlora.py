"""FairLoRA as published (arXiv 2410.17358): LoRA with a penalty on the variance of the group losses."""

from fairaudit_mitigate.methods.method import ADAPTER, TERMS, Method, penalised

METHOD = Method(
    "fairlora",
    "LoRA with the penalty λ Σ(L_g − L̄)² on group losses (FairLoRA)",
    ADAPTER,
    True,
    1e-3,
    penalised,
    needs="groups of the train rows",
    choose="to reproduce the paper; it also pushes well-served groups down, so look at accuracy as λ grows",
    paper="FairLoRA, arXiv 2410.17358",
    reads=TERMS,
)
