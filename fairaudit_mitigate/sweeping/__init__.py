"""Sweeps: many trainings from one plan, chosen on validation, judged on test, compared over seeds."""
