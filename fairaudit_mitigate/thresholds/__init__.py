"""The method `threshold`: group-wise thresholds fitted to a file of predictions, and applied to others. No torch."""

from fairaudit_mitigate.thresholds.adjusting import Adjustment as Adjustment
from fairaudit_mitigate.thresholds.adjusting import adjust as adjust
from fairaudit_mitigate.thresholds.applying import apply_rule as apply_rule
from fairaudit_mitigate.thresholds.rule import Rule as Rule
