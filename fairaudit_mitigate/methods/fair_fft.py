"""Full fine-tuning with FairLoRA's penalty (the paper's FairFFT)."""

from fairaudit_mitigate.methods.method import EVERYTHING, Method, penalised

METHOD = Method("fair-fft", "full fine-tuning with FairLoRA's penalty", EVERYTHING, True, 3e-5, penalised)
