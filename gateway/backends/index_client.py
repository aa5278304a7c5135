"""A `VectorIndex` that calls IndexService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import Any, cast

import grpc.aio
import numpy as np
from google.protobuf import field_mask_pb2
from numpy.typing import NDArray
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc
from semsearch.v1.query_pb2 import Filter

from gateway.backends.embedding import Vector
from gateway.backends.rpc_errors import calls_to
from gateway.backends.vector_index import (
    Engine,
    Found,
    IndexInfo,
    Item,
    NearItem,
    Neighbor,
    Neighborhood,
    NewIndex,
    Position,
)
from gateway.lease import Lease, Metadata, SoleProcess

_SERVICE = "index"
SOLE = SoleProcess()
_ENGINES = {
    Engine.DEFAULT: pb.ENGINE_UNSPECIFIED,
    Engine.ANNOY: pb.ENGINE_ANNOY,
    Engine.EXACT: pb.ENGINE_EXACT,
    Engine.HNSW: pb.ENGINE_HNSW,
}
_LIST_PAGE = 1_000
_NO_ATTRIBUTES = field_mask_pb2.FieldMask(paths=["-"])
# A large vocabulary, at the index's write speed.
_LOAD_SECONDS = 1_800.0
# Segments of a million items take minutes.
_OPTIMIZE_SECONDS = 3_600.0


class IndexClient:
    """Implements `gateway.backends.vector_index.VectorIndex`; each change is made under a lease."""

    def __init__(self, channel: grpc.aio.Channel, lease: Lease = SOLE) -> None:
        self._stub: pb_grpc.IndexServiceAsyncStub = pb_grpc.IndexServiceStub(channel)
        self._lease = lease

    async def create(self, index: NewIndex) -> IndexInfo:
        """Create an index; raises `IndexExists`."""
        message = pb.Index(
            name=index.name,
            dimension=index.dimension,
            model_id=index.model_id,
            engine=_ENGINES[index.engine],
            indexed_attributes=index.indexed_attributes,
            labels=index.labels,
        )
        with self._change() as lease:
            response = await self._stub.CreateIndex(pb.CreateIndexRequest(index=message), metadata=lease)
        return _info(response.index)

    async def get(self, name: str) -> IndexInfo:
        """Describe an index."""
        with calls_to(_SERVICE):
            return _info((await self._stub.GetIndex(pb.GetIndexRequest(name=name))).index)

    async def list_all(self) -> Sequence[IndexInfo]:
        """Return all indexes, by name."""
        found: list[IndexInfo] = []
        token = ""
        while True:
            request = pb.ListIndexesRequest(page_size=_LIST_PAGE, page_token=token)
            with calls_to(_SERVICE):
                response = await self._stub.ListIndexes(request)
            found += [_info(index) for index in response.indexes]
            token = response.next_page_token
            if not token:
                return found

    async def count(
        self,
        name: str,
        *,
        filter_: Filter | None = None,
        near: tuple[str, Vector] | None = None,
        distances: Sequence[float] = (),
        excluded: Collection[str] = (),
    ) -> tuple[int, Sequence[int]]:
        """Return how many items there are, and how many are within distances; see `VectorIndex.count`."""
        request = pb.CountItemsRequest(index=name, filter=filter_)
        if near is not None:
            request.model_id, request.vector = near[0], _packed(near[1])
            request.distances.extend(distances)
            request.excluded_ids.extend(excluded)
        with calls_to(_SERVICE):
            response = await self._stub.CountItems(request)
        return response.item_count, response.counts_within

    async def sum_attribute(self, name: str, path: str) -> float:
        """Return the sum of a number attribute over the items that have it."""
        with calls_to(_SERVICE):
            return (await self._stub.SumAttribute(pb.SumAttributeRequest(index=name, field=path))).sum

    async def delete(self, name: str) -> int:
        """Delete an index by its name (not an alias) and return how many items it had."""
        with self._change() as lease:
            response = await self._stub.DeleteIndex(pb.DeleteIndexRequest(name=name), metadata=lease)
        return response.deleted_item_count

    async def upsert(self, name: str, model_id: str, items: Sequence[Item]) -> None:
        """Add or replace 1 to `MAX_ITEMS_A_CALL` items, all or none; on disk and searchable when it returns."""
        request = _upsert_message(name, model_id, items)
        with self._change() as lease:
            await self._stub.UpsertItems(iter([request]), metadata=lease)

    async def load(self, name: str, model_id: str, batches: AsyncIterator[Sequence[Item]]) -> None:
        """Add or replace batches of items with vectors; see `VectorIndex.load`."""
        call = None
        try:
            with self._change() as lease:
                async for items in batches:
                    call = call or self._stub.UpsertItems(timeout=_LOAD_SECONDS, metadata=lease)
                    # On a thread, so that searches do not wait for it.
                    await call.write(await asyncio.to_thread(_upsert_message, name, model_id, items, bulk=True))
                if call is not None:
                    await call.done_writing()
                    await call
        except asyncio.InvalidStateError:  # the index ended the call; its answer says why
            with self._change():
                await cast("grpc.aio.StreamUnaryCall[Any, Any]", call)
        finally:
            if call is not None:
                call.cancel()

    async def delete_items(self, name: str, ids: Sequence[str]) -> Sequence[str]:
        """Delete items and return the unknown ids."""
        with self._change() as lease:
            response = await self._stub.DeleteItems(pb.DeleteItemsRequest(index=name, ids=ids), metadata=lease)
        return list(response.unknown_ids)

    async def get_items(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Sequence[Item]:
        """Return those items that exist, in the order of `ids`."""
        found: list[Item] = []
        missing = list(ids)
        while missing:
            request = pb.GetItemsRequest(index=name, ids=missing, include_vectors=vectors)
            with calls_to(_SERVICE):
                response = await self._stub.GetItems(request)
            found += [_item(item) for item in response.items]
            # Large items come in several parts.
            answered = {*response.unknown_ids, *(item.id for item in response.items)}
            missing = [item_id for item_id in missing if item_id not in answered]
        return found

    async def list_items(
        self,
        name: str,
        *,
        page_size: int,
        page_token: str = "",
        filter_: Filter | None = None,
        descending_by: str = "",
        vectors: bool = False,
    ) -> tuple[Sequence[Item], str]:
        """Return a page of items; see `VectorIndex.list_items`."""
        request = pb.ListItemsRequest(
            index=name,
            page_size=page_size,
            page_token=page_token,
            filter=filter_,
            descending_by=descending_by,
            include_vectors=vectors,
        )
        with calls_to(_SERVICE):
            response = await self._stub.ListItems(request)
        return [_item(item) for item in response.items], response.next_page_token

    async def list_within(
        self,
        name: str,
        neighborhood: Neighborhood,
        *,
        descending_by: str,
        page_size: int,
        page_token: str = "",
        filter_: Filter | None = None,
    ) -> tuple[Sequence[NearItem], str]:
        """Return a page of the items in a neighbourhood, in descending order; see `VectorIndex.list_within`."""
        request = pb.ListItemsRequest(
            index=name,
            page_size=page_size,
            page_token=page_token,
            filter=filter_,
            descending_by=descending_by,
            within=pb.Neighborhood(
                vector=_packed(neighborhood.vector),
                model_id=neighborhood.model_id,
                distance=neighborhood.distance,
            ),
        )
        with calls_to(_SERVICE):
            response = await self._stub.ListItems(request)
        found = zip(response.items, response.distances, strict=True)
        return [NearItem(_item(item), distance) for item, distance in found], response.next_page_token

    async def search(
        self,
        name: str,
        vector: Vector,
        k: int,
        model_id: str,
        *,
        filter_: Filter | None = None,
        attributes: Sequence[str] | None = None,
        vectors: bool = False,
        after: Position | None = None,
    ) -> Found:
        """Return the k ≤ `MAX_NEIGHBORS` nearest items; see `VectorIndex.search`."""
        request = pb.SearchRequest(
            index=name,
            queries=[pb.SearchQuery(vector=_packed(vector), after=_after(after))],
            k=k,
            model_id=model_id,
            filter=filter_,
            attributes_mask=None if attributes is None else field_mask_pb2.FieldMask(paths=attributes or ["-"]),
            index_uid=after.index_uid if after else "",
            include_vectors=vectors,
        )
        with calls_to(_SERVICE):
            response = await self._stub.Search(request)
        result, first = response.results[0], 1 + (after.rank if after else 0)
        rows = (
            np.frombuffer(result.vectors, "<f4").reshape(-1, len(vector)) if vectors else [None] * len(result.neighbors)
        )
        neighbors = [
            Neighbor(each.id, each.attributes, Position(response.index_uid, each.distance, each.row, rank), row)
            for rank, (each, row) in enumerate(zip(result.neighbors, rows, strict=True), first)
        ]
        return Found(neighbors, result.truncated)

    async def search_many(
        self, name: str, vectors: NDArray[np.float32], k: int, model_id: str
    ) -> Sequence[Sequence[str]]:
        """Return the ids of the k items nearest to each of up to 1,000 vectors; raises `ModelMismatch`."""
        request = pb.SearchRequest(
            index=name,
            queries=[pb.SearchQuery(vector=_packed(vector)) for vector in vectors],
            k=k,
            model_id=model_id,
            attributes_mask=_NO_ATTRIBUTES,
        )
        with calls_to(_SERVICE):
            response = await self._stub.Search(request)
        return [[each.id for each in result.neighbors] for result in response.results]

    async def optimize(self, name: str) -> None:
        """Fold all rows into segments; may take minutes."""
        with calls_to(_SERVICE):
            async for _ in self._stub.OptimizeIndex(pb.OptimizeIndexRequest(name=name), timeout=_OPTIMIZE_SECONDS):
                pass

    async def set_alias(self, alias: str, name: str) -> str:
        """Point an alias at an index and return the index it named before, or ""."""
        with self._change() as lease:
            response = await self._stub.SetAlias(pb.SetAliasRequest(alias=alias, index=name), metadata=lease)
        return response.previous_index

    async def delete_alias(self, alias: str) -> str:
        """Remove an alias and return the index it named."""
        with self._change() as lease:
            response = await self._stub.DeleteAlias(pb.DeleteAliasRequest(alias=alias), metadata=lease)
        return response.previous_index

    @contextmanager
    def _change(self) -> Iterator[Metadata]:
        """Enclose a call that changes something; yield its metadata."""
        with self._lease.change() as metadata, calls_to(_SERVICE):
            yield metadata


def _after(position: Position | None) -> pb.Position | None:
    if position is None:
        return None
    return pb.Position(distance=position.distance, row=position.row, rank=position.rank)


def _info(index: pb.Index) -> IndexInfo:
    return IndexInfo(
        name=index.name,
        model_id=index.model_id,
        labels=dict(index.labels),
        aliases=tuple(index.aliases),
        item_count=index.item_count,
        create_time=index.create_time.ToDatetime(UTC),
        disk_bytes=index.stats.disk_bytes,
    )


def _upsert_message(name: str, model_id: str, items: Sequence[Item], *, bulk: bool = False) -> pb.UpsertItemsRequest:
    messages = [
        pb.Item(id=item.id, vector=b"" if item.vector is None else _packed(item.vector), attributes=item.attributes)
        for item in items
    ]
    return pb.UpsertItemsRequest(index=name, model_id=model_id, items=messages, bulk=bulk)


def _item(item: pb.Item) -> Item:
    return Item(item.id, item.attributes, np.frombuffer(item.vector, "<f4") if item.vector else None)


def _packed(vector: Vector) -> bytes:
    return vector.astype("<f4", copy=False).tobytes()
