"""Search cursors: the content of a page token.

A page begins after the last match of the previous page, at a place in the order of distances to the query's vector; see
docs/decisions/0009-pages-by-distance.md. The token contains the vector, because it cannot be reproduced: in another
batch the same image's vector, and so all distances, differ in the last bits, and the query image may be gone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import numpy as np

from gateway.backends.embedding import Vector
from gateway.backends.vector_index import Position


@dataclass(frozen=True, eq=False)
class Cursor:
    """The place after a match, among the neighbours of a vector.

    `since` is for a search for distinct pictures: the place in the same index from which matches before this page are
    looked at again; None is the nearest.
    """

    vector: Vector
    place: Position
    since: Position | None = None

    def to_text(self) -> str:
        """Return the text that `from_text` reads back exactly."""
        place = self.place
        since = [self.since.distance, self.since.row, self.since.rank] if self.since else []
        return json.dumps([place.index_uid, place.distance, place.row, place.rank, _packed(self.vector), *since])

    @classmethod
    def from_text(cls, text: str) -> Cursor:
        """Return the cursor.

        Raises:
            ValueError: The text is not a cursor.
        """
        match json.loads(text):
            case [str(index_uid), float(distance), int(row), int(rank), str(vector), *since]:
                return cls(_unpacked(vector), Position(index_uid, distance, row, rank), _since(index_uid, since))
        raise ValueError(text)


@dataclass(frozen=True, eq=False)
class TimeCursor:
    """The place after a match, among all images near a vector, newest first; `token` is the index's own."""

    vector: Vector
    index: str
    token: str

    def to_text(self) -> str:
        """Return the text that `from_text` reads back exactly."""
        return json.dumps([self.index, self.token, _packed(self.vector)])

    @classmethod
    def from_text(cls, text: str) -> TimeCursor:
        """Return the cursor.

        Raises:
            ValueError: The text is not a cursor.
        """
        match json.loads(text):
            case [str(index), str(token), str(vector)]:
                return cls(_unpacked(vector), index, token)
        raise ValueError(text)


def _packed(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _unpacked(text: str) -> Vector:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32)


def _since(index_uid: str, numbers: list[object]) -> Position | None:
    match numbers:
        case []:
            return None
        case [float(distance), int(row), int(rank)]:
            return Position(index_uid, distance, row, rank)
    raise ValueError(numbers)
