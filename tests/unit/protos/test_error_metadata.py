"""What an error's metadata has is named in the comment of its reason."""

from __future__ import annotations

import pytest
from semsearch.v1 import error_reason_pb2 as reasons

from embedder_service import statuses as of_the_embedder
from gateway.api import statuses as of_the_gateway
from serving.access import errors as access
from serving.callers import Caller, Role
from serving.error_status import ErrorTable
from serving.errors import ShuttingDown, to_status
from serving.received_errors import from_status
from tests.unit.embedder_service import test_statuses as embedder
from tests.unit.gateway.api import test_statuses as gateway
from tests.unit.protos.comments import COMMENTS

READER = Caller("ann", Role.READ, frozenset({"trip"}))
OF_ALL_SERVICES = (
    access.TokenMissing(),
    access.TokenUnknown(),
    access.TokenExpired(0),
    access.TokenChanged("ann"),
    access.NoRole("oidc:ann", "roles", ["semsearch:read"]),
    access.RoleTooLow(READER, "DeleteImages", Role.WRITE),
    access.CollectionNotAllowed(READER, "other"),
    access.NotForSomeCollections(READER, "PullModel"),
    access.MethodClosed("New"),
)
ERRORS = [
    *((error, {}) for error in OF_ALL_SERVICES),
    *((error, of_the_embedder.ERRORS) for error in embedder.EXAMPLES),
    *((error, of_the_gateway.ERRORS) for error in gateway.EXAMPLES),
    (RuntimeError("a fault"), {}),
    (ShuttingDown(begun=True), {}),
]


@pytest.mark.parametrize(("error", "table"), ERRORS, ids=lambda value: type(value).__name__)
def test_metadata_is_described(error: Exception, table: ErrorTable) -> None:
    reason, metadata = from_status(to_status(error, table))
    assert f"ERROR_REASON_{reason}" in reasons.ErrorReason.keys()  # noqa: SIM118 — not a dict: it has no `in`
    for key in metadata:
        assert f"`{key}`" in COMMENTS[f"v1.ErrorReason.ERROR_REASON_{reason}"]
