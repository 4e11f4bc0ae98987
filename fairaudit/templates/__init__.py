"""Templates of policies, and the code that fills them from the predictions at hand (`fairaudit init`)."""

from fairaudit.templates.drafting import Draft, draft
from fairaudit.templates.kinds import TEMPLATES, RuleDraft, Template

__all__ = ["TEMPLATES", "Draft", "RuleDraft", "Template", "draft"]
