"""A class of objects in Weaviate as a collection, by its HTTP API; a vector is all that is kept of an image.

Writes are acknowledged by a quorum of the three replicas. A search is answered by one replica alone, whatever the
consistency level: Weaviate 1.35 compares only the objects that this replica found. So a node that was away gives wrong
answers, until Weaviate's own repair has filled it again; this client asks no node again that it once found away.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import requests
from numpy.typing import NDArray

from tests.cluster.gallery import PLAIN_SECONDS, Matches, Missing, Picture, Unanswered
from tests.cluster.weaviate_nodes import HTTP_PORT

_NAMESPACE = uuid.UUID(int=0)
_REPLICAS = 3
_ALL = 10_000


class WeaviateGallery:
    """A class with three replicas, on nodes at some addresses; each thread has a connection of its own."""

    def __init__(
        self, addresses: Sequence[str], name: str, words: Mapping[str, NDArray[np.float32]], is_plain: bool
    ) -> None:
        self._addresses = list(addresses)
        self._name = name
        self._words = words
        self._attempts = 1 if is_plain else 2 * len(addresses)
        self._sessions = threading.local()

    def create(self) -> None:
        self._call(
            "POST",
            "schema",
            {
                "class": self._name,
                "vectorizer": "none",
                "vectorIndexConfig": {"distance": "cosine"},
                "replicationConfig": {
                    "factor": _REPLICAS,
                    "asyncEnabled": True,
                    "deletionStrategy": "TimeBasedResolution",
                },
                "properties": [{"name": "image", "dataType": ["text"]}],
            },
        )

    def add(self, pictures: Mapping[str, Picture]) -> None:
        objects = [
            {
                "class": self._name,
                "id": _uuid(image_id),
                "vector": picture.vector.tolist(),
                "properties": {"image": image_id},
            }
            for image_id, picture in pictures.items()
        ]
        for result in self._call("POST", "batch/objects?consistency_level=QUORUM", {"objects": objects}):
            if result["result"]["status"] != "SUCCESS":
                raise Unanswered(str(result["result"]))

    def delete(self, image_id: str) -> None:
        with suppress(Missing):  # an earlier request, which was not answered, may have deleted it
            self._call("DELETE", f"objects/{self._name}/{_uuid(image_id)}?consistency_level=QUORUM")

    def nearest(self, query: str | Picture, count: int) -> Matches:
        vector = self._words[query] if isinstance(query, str) else query.vector
        near = f"nearVector:{{vector:{vector.tolist()}}}"
        document = f"{{Get{{{self._name}(limit:{count},{near}){{image _additional{{distance}}}}}}}}"
        answer = self._call("POST", "graphql", {"query": document})
        if answer.get("errors"):
            raise Unanswered(str(answer["errors"]))
        found = answer["data"]["Get"][self._name]
        # Weaviate's distance is 1 − cos.
        return [(each["image"], float(np.sqrt(2 * max(0.0, each["_additional"]["distance"])))) for each in found]

    def has(self, image_id: str, picture: Picture) -> bool:
        path = f"objects/{self._name}/{_uuid(image_id)}?consistency_level=QUORUM&include=vector"
        return bool(np.allclose(self._call("GET", path)["vector"], picture.vector, atol=1e-6))

    def ids(self) -> list[str]:
        found = self._call("GET", f"objects?class={self._name}&limit={_ALL}")["objects"]
        return [each["properties"]["image"] for each in found]

    def _call(self, method: str, path: str, body: object = None) -> Any:
        problem = ""
        for _ in range(self._attempts):
            address = self._addresses[0]
            try:
                answer = self._session().request(
                    method, f"http://{address}:{HTTP_PORT}/v1/{path}", json=body, timeout=PLAIN_SECONDS
                )
            except requests.RequestException as error:
                problem = str(error)
                self._put_away(address)
                continue
            if answer.status_code == requests.codes.not_found:
                raise Missing(path)
            if answer.ok:
                return answer.json() if answer.content else None
            problem = f"{answer.status_code}: {answer.text}"
        raise Unanswered(problem)

    def _put_away(self, address: str) -> None:
        """Ask a node only when no other answers."""
        if address == self._addresses[0]:
            self._addresses = [*self._addresses[1:], address]

    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "own"):
            self._sessions.own = requests.Session()
            self._sessions.own.trust_env = False
        session: requests.Session = self._sessions.own
        return session


def _uuid(image_id: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, image_id))
