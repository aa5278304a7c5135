"""Who may call the embedder: the suite, and operators with a token of an admin."""

from __future__ import annotations

from serving.access.rules import Rule, Rules
from serving.callers import Role

_METHODS = (
    "EmbedText",
    "EmbedImages",
    "StreamEmbedImages",
    "StreamWords",
    "GetModel",
    "ListModels",
    "ListRecipes",
    "PullModel",
    "ActivateModel",
    "ListModelFiles",
    "ReadModelFile",
    "ImportModel",
)

RULES: Rules = {
    f"semsearch.embedder.v1.EmbedderService.{method}": Rule(Role.ADMIN, whole_suite=True, suite_may=True)
    for method in _METHODS
} | {"semsearch.v1.LimitsService.GetLimits": Rule(Role.READ, suite_may=True)}
