"""Full fine-tuning: every weight."""

from fairaudit_mitigate.methods.method import EVERYTHING, Method, mean_loss

METHOD = Method("fft", "full fine-tuning: every weight, mean loss", EVERYTHING, False, 3e-5, mean_loss)
