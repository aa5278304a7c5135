"""Several backends as one catalog; two folders on this machine stand for them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from index_service.backends import Backend, Backends
from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import EngineNotConfigured, IndexExists, IndexInUse, IndexNotFound
from index_service.local.catalog import Catalog, open_catalog
from tests.unit.index_service.conftest import NEVER, fill
from tests.unit.index_service.engines_in_process import engine_of


@pytest.fixture
def catalogs(tmp_path: Path) -> Iterator[tuple[Catalog, Catalog]]:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(open_catalog(tmp_path / name, engine_of, NEVER)) for name in ("first", "second")
        )
        yield first, second


@pytest.fixture
def backends(catalogs: tuple[Catalog, Catalog]) -> Backends:
    first, second = catalogs
    kinds = (EngineKind.ANNOY, EngineKind.EXACT)
    combined = Backends(
        [Backend(frozenset({kind}), catalog) for kind, catalog in zip(kinds, (first, second), strict=True)],
        {EngineKind.HNSW: "Set it up."},
    )
    for kind in kinds:
        combined.create(IndexDefinition(kind.value, 4, "model", engine=kind))
    return combined


class Crash(Exception):
    """The process ends here."""


def target(backends: Backends) -> str:
    return backends.get("alias").definition.name


def test_names_are_unique_over_all_backends_and_listed_together(backends: Backends) -> None:
    for kind in (EngineKind.ANNOY, EngineKind.EXACT):
        with pytest.raises(IndexExists):
            backends.create(IndexDefinition("exact", 4, "model", engine=kind))
    backends.set_alias("alias", "exact")
    with pytest.raises(IndexExists):
        backends.create(IndexDefinition("alias", 4, "model", engine=EngineKind.ANNOY))
    pages = [[each.definition.name for each in backends.page(after, 1)] for after in ("", "annoy", "exact")]  # type: ignore[union-attr]
    assert pages == [["annoy"], ["exact"], []]


def test_an_engine_that_is_not_set_up_is_refused_with_what_to_do(backends: Backends) -> None:
    with pytest.raises(EngineNotConfigured, match="Set it up"):
        backends.create(IndexDefinition("graph", 4, "model", engine=EngineKind.HNSW))


@pytest.mark.parametrize(("before", "after"), [("annoy", "exact"), ("exact", "annoy")])
def test_an_alias_moves_between_backends_in_one_step(
    backends: Backends, catalogs: tuple[Catalog, Catalog], before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backends.set_alias("alias", before)
    seen = []
    for catalog in catalogs:
        for name in ("set_alias", "delete_alias"):
            change = getattr(catalog, name)

            def watched(*arguments: str, change: object = change) -> object:
                seen.append(target(backends))
                return change(*arguments)  # type: ignore[operator]

            monkeypatch.setattr(catalog, name, watched)
    assert backends.set_alias("alias", after) == before
    changes = [*seen, target(backends)]
    assert changes == sorted(changes, key=lambda name: name == after)  # first only the one, then only the other
    assert (backends.aliases(before), backends.aliases(after)) == ((), ("alias",))


@pytest.mark.parametrize(("before", "after"), [("annoy", "exact"), ("exact", "annoy")])
def test_a_move_that_stops_halfway_names_one_index_and_can_be_made_again(
    backends: Backends, catalogs: tuple[Catalog, Catalog], before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backends.set_alias("alias", before)
    with monkeypatch.context() as broken:
        for catalog in catalogs:
            broken.setattr(catalog, "delete_alias", lambda alias: _crash())
        with pytest.raises(Crash):
            backends.set_alias("alias", after)
    now = target(backends)
    hidden = {before: after, after: before}[now]
    assert (backends.aliases(now), backends.aliases(hidden)) == (("alias",), ())
    with pytest.raises(IndexInUse):
        backends.delete(now)
    backends.delete(hidden)  # and with it the hidden alias
    assert target(backends) == now
    backends.delete_alias("alias")
    with pytest.raises(IndexNotFound):
        backends.get("alias")


@pytest.mark.parametrize("name", ["\0", "exact\0", "exact\ue000", ""])
def test_a_name_that_no_index_can_have_is_not_found(backends: Backends, name: str) -> None:
    with pytest.raises(IndexNotFound):
        backends.set_alias("alias", name)
    with pytest.raises(IndexNotFound):
        backends.delete(name)


def test_a_snapshot_has_the_indexes_of_all_backends(backends: Backends) -> None:
    for name in ("annoy", "exact"):
        fill(backends.get(name), 3)  # type: ignore[arg-type]
    with backends.hold_snapshot() as snapshot:
        assert [each.definition.name for each in snapshot.indexes] == ["annoy", "exact"]
        counts = [
            sum(len(piece) for piece in snapshot.export(name) if isinstance(piece, tuple))
            for name in ("annoy", "exact")
        ]
    assert counts == [3, 3]


def _crash() -> None:
    raise Crash


def test_a_damaged_index_keeps_its_aliases_and_can_lose_them(tmp_path: Path) -> None:
    with open_catalog(tmp_path, engine_of, NEVER) as catalog:
        for name in ("broken", "sound"):
            catalog.create(IndexDefinition(name, 4, "model"))
        for alias in ("first", "second"):
            catalog.set_alias(alias, "broken")
    (tmp_path / "broken" / "store.sqlite").write_bytes(b"no database")
    with open_catalog(tmp_path, engine_of, NEVER) as catalog:
        backends = Backends([Backend(frozenset({EngineKind.ANNOY}), catalog)])
        assert [backends.aliases(name) for name in ("broken", "sound")] == [("first", "second"), ()]
        assert backends.set_alias("first", "sound") == "broken"
        assert backends.delete_alias("second") == "broken"
        assert [backends.aliases(name) for name in ("broken", "sound")] == [(), ("first",)]
        assert backends.delete("broken") == 0
