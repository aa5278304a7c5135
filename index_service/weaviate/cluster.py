"""The connection to a Weaviate cluster: one node at a time, and the next one if it does not answer.

Every call is safe to repeat: objects have ids that are made from items' ids, and a write says all of an object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx
import structlog
import weaviate
from weaviate.auth import Auth
from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.init import AdditionalConfig, Timeout
from weaviate.collections.collection import Collection
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateBaseError, WeaviateRetryError
from weaviate.retry import _Retry

from index_service.errors import ClusterUnavailable, ReplicasMissing
from index_service.weaviate.names import to_weaviate
from index_service.weaviate.nodes import Nodes

T = TypeVar("T")
Objects = Collection[dict[str, Any], None]

ADDRESS = re.compile(r"(?P<host>[^:\s/]+):(?P<http>[0-9]{1,5}):(?P<grpc>[0-9]{1,5})")
# A node that was lost answers nothing; the next one should, soon.
_CONNECT_SECONDS = 3
_CALL_SECONDS = 10
# A batch is also indexed before it is answered, on a busy node at some ten items a second.
_INSERT_SECONDS = 120
# Weaviate's own words if too few replicas answered.
_TOO_FEW = re.compile("consistency level|enough replicas|enough weaviate nodes|no replica", re.IGNORECASE)
_NOT_TEMPORARY = range(400, 500)
# A node that does not answer, or one that says why it cannot.
_AWAY = (WeaviateBaseError, httpx.HTTPError, OSError)

log = structlog.get_logger(__name__)


def _once(_: _Retry, count: int, error: str, f: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call a node once, and report that it is away at once."""
    try:
        return f(*arguments, **options)
    except Exception as problem:
        code = getattr(problem, "code", None)
        if callable(code) and code().name == "UNAVAILABLE":
            details = getattr(problem, "details", None)
            raise WeaviateRetryError(str(details() if callable(details) else problem), count) from problem
        raise


# The library would ask the same node again for a minute; another one can answer now.
_Retry.with_exponential_backoff = _once  # type: ignore[method-assign,assignment]


@dataclass(frozen=True)
class Options:
    """How a cluster is used."""

    addresses: Sequence[str]  # of nodes: host:http-port:grpc-port
    replication_factor: int
    consistency: str  # ONE, QUORUM or ALL
    api_key: str


def connect(address: str, *, api_key: str = "", insert_seconds: float = _INSERT_SECONDS) -> weaviate.WeaviateClient:
    """Connect to a node."""
    match = ADDRESS.fullmatch(address)
    assert match is not None, address  # noqa: S101 — the settings check it
    return weaviate.connect_to_custom(
        http_host=match["host"], http_port=int(match["http"]), http_secure=False,
        grpc_host=match["host"], grpc_port=int(match["grpc"]), grpc_secure=False,
        auth_credentials=Auth.api_key(api_key) if api_key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(init=_CONNECT_SECONDS, query=_CALL_SECONDS, insert=insert_seconds)
        ),
    )  # fmt: skip


class Cluster:
    """Calls a cluster; thread-safe."""

    def __init__(self, options: Options) -> None:
        """Check the options, and connect to nothing yet."""
        self.options = options
        self._write_level = ConsistencyLevel(options.consistency)
        # What every replica has, any one of them can tell: reads go on while a node is away, and writes wait for it.
        self._read_level = ConsistencyLevel.ONE if options.consistency == "ALL" else self._write_level
        self._nodes = Nodes(options.addresses, partial(connect, api_key=options.api_key))

    def call(self, work: Callable[[weaviate.WeaviateClient], T]) -> T:
        """Return the result of work with a client; if a node does not answer, repeat it with the next one.

        Raises:
            ReplicasMissing: too few nodes answer for the consistency level.
            ClusterUnavailable: no node answers.
        """
        problem: Exception | None = None
        for _ in self.options.addresses:
            try:
                return self._call_one(work)
            except _AWAY as error:
                problem = error
                if isinstance(error, UnexpectedStatusCodeError) and error.status_code in _NOT_TEMPORARY:
                    if _TOO_FEW.search(_text(error)):
                        break
                    raise
        assert problem is not None  # noqa: S101 — there is at least one address
        if _TOO_FEW.search(_text(problem)):
            raise ReplicasMissing(f"{_text(problem)}{self._unhealthy()}") from problem
        raise ClusterUnavailable(_text(problem)) from problem

    def on(self, index: str, work: Callable[[Objects], T], *, writes: bool = False) -> T:
        """Return the result of work with an index's objects, at the consistency level. Raises as `call`."""
        level = self._write_level if writes else self._read_level
        return self.call(lambda client: work(client.collections.use(to_weaviate(index)).with_consistency_level(level)))

    def close(self) -> None:
        """End all connections."""
        self._nodes.close()

    def _call_one(self, work: Callable[[weaviate.WeaviateClient], T]) -> T:
        """Call the node in use; if it does not answer, raise why, and use the next one from now on."""
        node = self._nodes.take()
        try:
            return work(node.client)
        except _AWAY as error:
            if not (isinstance(error, UnexpectedStatusCodeError) and error.status_code in _NOT_TEMPORARY):
                log.warning("node does not answer", address=node.address, problem=_text(error))
                self._nodes.leave(node)
            raise
        finally:
            self._nodes.give_back(node)

    def _unhealthy(self) -> str:
        """Return which nodes do not answer, as far as any node knows."""
        for each in self._nodes.connected():
            with suppress(Exception):
                bad = [node.name for node in each.client.cluster.nodes() if node.status != "HEALTHY"]
                return f" (not healthy: {', '.join(bad)})" if bad else ""
        return ""


def _text(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    return " ".join(text.split())[:300]
