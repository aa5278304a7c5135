"""Checks the answers of an open catalog against dictionaries and NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index_service.filters import Filter
from index_service.local.aliases import ALIASES_FILE
from index_service.local.catalog import Catalog
from index_service.local.vector_index import VectorIndex
from serving.durable_files import is_temporary
from tests.faults.steps import DIMENSION, Items, State, random_units

K = 10
QUERIES = 8
_PAGE = 1_000


def contents(catalog: Catalog) -> State:
    """Return the contents of a catalog; all of its indexes must be undamaged."""
    indexes: dict[str, Items] = {}
    aliases: dict[str, str] = {}
    for index in catalog.page("", _PAGE):
        assert isinstance(index, VectorIndex), index
        name = index.definition.name
        indexes[name] = items_of(index)
        aliases |= dict.fromkeys(catalog.aliases(name), name)
    return State(indexes, aliases)


def items_of(index: VectorIndex) -> Items:
    """Return all items of an index, read in pages."""
    items: Items = {}
    after = 0
    while page := list(index.page(after, _PAGE, Filter(), vectors=True)):
        items |= {
            item.id: (item.attributes or "", (item.vector if item.vector is not None else b"").tobytes())
            for item in page
        }
        after = page[-1].sequence
    return items


def check(catalog: Catalog, allowed: Sequence[State]) -> State:
    """Check that a catalog holds exactly one of the states and that searches find it; return the state."""
    found = contents(catalog)
    assert found in allowed, "; ".join(difference(found, state) for state in allowed)
    for alias, name in found.aliases.items():
        assert catalog.get(alias) is catalog.get(name)
    for name, items in found.indexes.items():
        index = catalog.get(name)
        assert index.stats().item_count == len(items)
        check_searches(index, items)
    return found


def check_searches(index: VectorIndex, items: Items) -> None:
    """Compare exact searches, and the recall of others, with NumPy."""
    ids = np.array(list(items))
    vectors = np.array([np.frombuffer(vector, dtype="<f4") for _, vector in items.values()]).reshape(-1, DIMENSION)
    queries = np.concatenate([random_units(len(items), QUERIES), vectors[: QUERIES // 2]])
    exact = index.search(list(queries), K, None, attributes=True, recall=1.0)
    approximate = index.search(list(queries), K, None, attributes=False)
    hits = 0
    for number, query in enumerate(queries):
        distances = np.linalg.norm(vectors.astype(np.float64) - query, axis=1)
        nearest = np.argsort(distances, kind="stable")[:K]
        neighbors = exact.neighbors[number]
        assert {neighbor.id for neighbor in neighbors} == set(ids[nearest].tolist())
        assert np.allclose([neighbor.distance for neighbor in neighbors], distances[nearest], rtol=0, atol=1e-6)
        assert all(neighbor.attributes == items[neighbor.id][0] for neighbor in neighbors)
        also = {neighbor.id for neighbor in approximate.neighbors[number]}
        assert len(also) == len(nearest)
        hits += len(also & set(ids[nearest].tolist()))
    assert hits >= index.definition.recall_target * len(queries) * min(K, len(items))


def leftovers(folder: Path) -> list[Path]:
    """Return the files in an open data folder that belong to nothing."""
    return [path for path in folder.rglob("*") if is_temporary(path) or path.name == f"{ALIASES_FILE}.damaged"]


def difference(found: State, wanted: State) -> str:
    """Return a short description of how two states differ."""
    if found.aliases != wanted.aliases or found.indexes.keys() != wanted.indexes.keys():
        return f"found {sorted(found.indexes)} and {found.aliases}, not {sorted(wanted.indexes)} and {wanted.aliases}"
    for name, items in found.indexes.items():
        expected = wanted.indexes[name]
        if items != expected:
            other = [item_id for item_id in items.keys() & expected.keys() if items[item_id] != expected[item_id]]
            missing, surplus = expected.keys() - items.keys(), items.keys() - expected.keys()
            return f"index {name}: {len(missing)} items are missing, {len(surplus)} too many, {len(other)} differ"
    return "the same"
