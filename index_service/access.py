"""Who may call the index: the suite, and operators with a token of an admin."""

from __future__ import annotations

from serving.access.rules import Rule, Rules
from serving.callers import Role

# The fields that name an index.
_INDEX = {
    "CreateIndex": ("index.name",),
    "GetIndex": ("name",),
    "ListIndexes": (),
    "DeleteIndex": ("name",),
    "UpsertItems": ("index",),
    "DeleteItems": ("index",),
    "GetItems": ("index",),
    "CountItems": ("index",),
    "ListItems": ("index",),
    "SumAttribute": ("index",),
    "Search": ("index",),
    "OptimizeIndex": ("name",),
    "SetAlias": ("alias", "index"),
    "DeleteAlias": ("alias",),
    "ExportIndex": ("name",),
    "HoldSnapshot": (),
    "ImportIndex": ("name",),
    "CheckIndex": ("name",),
}
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
    f"semsearch.index.v1.{service}.{method}": Rule(Role.ADMIN, fields, whole_suite=True, suite_may=True)
    for service, methods in (("IndexService", _INDEX), ("CoordinationService", dict.fromkeys(_COORDINATION, ())))
    for method, fields in methods.items()
} | {"semsearch.v1.LimitsService.GetLimits": Rule(Role.READ, suite_may=True)}
