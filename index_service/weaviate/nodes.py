"""The nodes of a cluster: calls use one of them, and the next one once it does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from weaviate import WeaviateClient


@dataclass(eq=False)
class Node:
    """A connection to a node, and how many threads use it."""

    number: int
    address: str
    client: WeaviateClient
    users: int = 0
    is_left: bool = False


class Nodes:
    """Connects to nodes by address; thread-safe. A node that is left is closed when no thread uses it any more."""

    def __init__(self, addresses: Sequence[str], connect: Callable[[str], WeaviateClient]) -> None:
        """Connect to nothing yet."""
        self._addresses = addresses
        self._connect = connect
        self._lock = threading.Lock()
        self._open: dict[int, Node] = {}
        self._current = 0

    def take(self) -> Node:
        """Return the node in use, for `give_back`; if it cannot be reached, raise why, and use the next one."""
        with self._lock:
            node = self._open.get(self._current)
            if node is None:
                address = self._addresses[self._current]
                try:
                    node = Node(self._current, address, self._connect(address))
                except Exception:
                    self._use_next()
                    raise
                self._open[node.number] = node
            node.users += 1
            return node

    def give_back(self, node: Node) -> None:
        """Note that a thread is done with a node."""
        with self._lock:
            node.users -= 1
            is_unused = node.is_left and node.users == 0
        if is_unused:
            _close(node)

    def leave(self, node: Node) -> None:
        """Use the next node, unless another thread did that; connect anew when this one's turn comes."""
        with self._lock:
            if len(self._addresses) == 1 or node.is_left:
                return
            node.is_left = True
            del self._open[node.number]
            if self._current == node.number:
                self._use_next()

    def connected(self) -> Sequence[Node]:
        """Return the nodes that there are connections to."""
        with self._lock:
            return tuple(self._open.values())

    def close(self) -> None:
        """End all connections."""
        for node in self.connected():
            _close(node)
        self._open.clear()

    def _use_next(self) -> None:
        self._current = (self._current + 1) % len(self._addresses)


def _close(node: Node) -> None:
    with suppress(Exception):
        node.client.close()
