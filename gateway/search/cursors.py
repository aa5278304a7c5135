"""Where a search goes on: what a page token holds.

A page begins behind the last match of the page before, at a place in the order of distances to the query's vector; see
docs/decisions/0009-pages-by-distance.md. The vector is in the token, not made again: the same image in another batch of
the model's has another vector in its last bits, and all distances with it, and the image that was searched with may be
gone.
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
    """The place behind a match, among the neighbours of a vector."""

    vector: Vector
    place: Position

    def to_text(self) -> str:
        """Return what `from_text` reads, to the last bit."""
        place = self.place
        vector = base64.b64encode(self.vector.astype("<f4").tobytes()).decode()
        return json.dumps([place.index_uid, place.distance, place.row, place.rank, vector])

    @classmethod
    def from_text(cls, text: str) -> Cursor:
        """Return the cursor.

        Raises:
            ValueError: it is the text of something else.
        """
        match json.loads(text):
            case [str(index_uid), float(distance), int(row), int(rank), str(vector)]:
                values = np.frombuffer(base64.b64decode(vector), dtype="<f4").astype(np.float32)
                return cls(values, Position(index_uid, distance, row, rank))
        raise ValueError(text)
