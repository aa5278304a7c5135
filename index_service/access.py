"""Who may call the index: the suite, and operators with a token of an admin."""

from __future__ import annotations

from serving.access.rules import Rule, Rules
from serving.callers import Role

_INDEX = (
    "CreateIndex",
    "GetIndex",
    "ListIndexes",
    "DeleteIndex",
    "UpsertItems",
    "DeleteItems",
    "GetItems",
    "CountItems",
    "ListItems",
    "SumAttribute",
    "Search",
    "OptimizeIndex",
    "SetAlias",
    "DeleteAlias",
    "ExportIndex",
    "HoldSnapshot",
    "ImportIndex",
    "CheckIndex",
)
_COORDINATION = (
    "AcquireLease",
    "RenewLease",
    "ReleaseLease",
    "GetLease",
    "WatchLease",
    "GetRecord",
    "PutRecord",
)

RULES: Rules = {
    f"semsearch.index.v1.{service}.{method}": Rule(Role.ADMIN, whole_suite=True, suite_may=True)
    for service, methods in (("IndexService", _INDEX), ("CoordinationService", _COORDINATION))
    for method in methods
} | {"semsearch.v1.LimitsService.GetLimits": Rule(Role.READ, suite_may=True)}
