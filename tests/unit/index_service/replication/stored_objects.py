"""An object store in memory that can stop at any operation, for tests of both sides of replication."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from serving.object_store import ObjectInfo, ObjectMissing


class Stopped(Exception):
    """The process would have ended here."""


class StoredObjects:
    """Implements the part of `serving.object_store.ObjectStore` that replication uses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.operations = 0
        self._stop_at: int | None = None
        self._stop_after = False

    @contextmanager
    def stopping_at(self, operation: int, *, after: bool = False) -> Iterator[None]:
        """Stop at the n-th operation of this block, counting from 0: before it, or right `after` it took effect."""
        self._stop_at, self._stop_after = self.operations + operation, after
        try:
            yield
        except Stopped:
            pass
        finally:
            self._stop_at = None

    def put(self, key: str, content: bytes) -> None:
        with self._operation():
            self.objects[key] = content

    def get(self, key: str) -> bytes:
        with self._operation():
            if key not in self.objects:
                raise ObjectMissing(key)
            return self.objects[key]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._operation():
            return iter(
                [ObjectInfo(key, len(self.objects[key]), 0.0) for key in self.objects if key.startswith(prefix)]
            )

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._operation():
                self.objects.pop(key, None)

    @contextmanager
    def _operation(self) -> Iterator[None]:
        stops = self._stop_at is not None and self.operations >= self._stop_at
        self.operations += 1
        if stops and not (self._stop_after and self.operations == (self._stop_at or 0) + 1):
            raise Stopped
        yield
        if stops:
            raise Stopped
