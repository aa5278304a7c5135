"""How the index's methods are admitted under load (serving/admission_gate.py)."""

from __future__ import annotations

from serving.admission_gate import INNER_WAITS, MethodLanes
from serving.lanes import Lane

METHOD_LANES = MethodLanes(
    limited={
        "semsearch.index.v1.IndexService/Search": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/GetItems": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/CountItems": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/ListItems": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/SumAttribute": Lane.INTERACTIVE,
    },
    unlimited={
        # Streams.
        "semsearch.index.v1.IndexService/UpsertItems": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/OptimizeIndex": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/ExportIndex": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/HoldSnapshot": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/ImportIndex": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/CheckIndex": Lane.INTERACTIVE,
        # Rare or short, and writes, which wait for their commit.
        "semsearch.index.v1.IndexService/CreateIndex": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/GetIndex": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/ListIndexes": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/DeleteIndex": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/DeleteItems": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/SetAlias": Lane.INTERACTIVE,
        "semsearch.index.v1.IndexService/DeleteAlias": Lane.INTERACTIVE,
        # Whoever loses its lease under load makes everything worse.
        "semsearch.index.v1.CoordinationService/AcquireLease": Lane.INTERACTIVE,
        "semsearch.index.v1.CoordinationService/RenewLease": Lane.INTERACTIVE,
        "semsearch.index.v1.CoordinationService/ReleaseLease": Lane.INTERACTIVE,
        "semsearch.index.v1.CoordinationService/GetLease": Lane.INTERACTIVE,
        "semsearch.index.v1.CoordinationService/WatchLease": Lane.INTERACTIVE,
        "semsearch.index.v1.CoordinationService/GetRecord": Lane.INTERACTIVE,
        "semsearch.index.v1.CoordinationService/PutRecord": Lane.INTERACTIVE,
    },
    waits=INNER_WAITS,
)
