"""After a kill, each file of a data folder is truncated, altered or deleted: what survives, and what is reported?"""

import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from index_service.errors import StoreDamaged
from index_service.local.aliases import ALIASES_FILE
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.manifest import MANIFEST_FILE
from index_service.local.merge_plan import Thresholds
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.local.store import STORE_FILE
from tests.faults.oracle import check, check_searches, contents, items_of
from tests.faults.steps import DEADLINE, Create, Fold, Items, Put, Remove, Retag, SetAlias, State, Step, random_units
from tests.unit.index_service.damage_found import damage_found
from tests.unit.index_service.engines_in_process import engine_of

NEVER = Thresholds(full_scan_threshold=10**9, deleted_threshold=1.0, vacuum_min_vector_number=10**9)
# A segment with at most half of the rows is not merged into others, so there are two; the log has further rows.
IN_SEGMENTS: tuple[Step, ...] = (
    Create("other"),
    Put("other", 0, 50, seed=1),
    Fold("other"),
    Create("items"),
    Put("items", 0, 200, seed=2),
    Fold("items"),
    SetAlias("current", "items"),
)
LATER: tuple[Step, ...] = (Put("items", 190, 60, seed=3), Retag("items", 0, 5, tag="late"), Remove("items", 20, 30))
FLIPS_OF_A_STORE = 100
QUERY = random_units(9, 1)[0]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    flip_at(path, path.stat().st_size // 2)


def flip_at(path: Path, offset: int, bit: int = 0x10) -> None:
    if content := bytearray(path.read_bytes()):
        content[offset] ^= bit
        path.write_bytes(content)


DAMAGES = pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut off", "one byte altered", "deleted"])


@contextmanager
def started(folder: Path) -> Iterator[Catalog]:
    with open_catalog(folder, engine_of, NEVER) as catalog:
        yield catalog


def ask(catalog: Catalog, state: State, *steps: Step) -> State:
    for step in steps:
        step.perform(catalog, lambda _: None)
        state = step.applied(state)
    return state


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """Return a data folder as a killed service leaves it, with the newest commits only in the log, and its state."""
    running, copy = (tmp_path_factory.mktemp("data") / name for name in ("running", "killed"))
    with started(running) as catalog:
        state = ask(catalog, State(), *IN_SEGMENTS)
    with started(running) as catalog:
        state = ask(catalog, state, *LATER)
        shutil.copytree(running, copy)
    return copy, state


@pytest.fixture
def data(killed: tuple[Path, State], tmp_path: Path) -> Path:
    return shutil.copytree(killed[0], tmp_path / "index")


@pytest.fixture
def state(killed: tuple[Path, State]) -> State:
    return killed[1]


def unrepaired(catalog: Catalog) -> tuple[str, ...]:
    return catalog.get("items").stats().repairs


def one(data: Path, pattern: str) -> Path:
    (path,) = data.glob(pattern)
    return path


# A pattern for each file, and whether damage to it causes a rebuild.
NO_TRUTH = {
    f"items/{SEGMENTS_FOLDER}/segment-*/rows.npy": True,
    f"items/{SEGMENTS_FOLDER}/segment-*/vectors.npy": True,
    f"items/{SEGMENTS_FOLDER}/segment-*/forest.ann": True,
    f"items/{SEGMENTS_FOLDER}/segment-*/order.npy": True,
    f"items/{SEGMENTS_FOLDER}/segment-*/plan.json": True,
    f"items/{MANIFEST_FILE}": True,
    f"items/{STORE_FILE}-shm": False,
    ".lock": False,
}
TRUTH = {f"items/{STORE_FILE}", f"items/{STORE_FILE}-wal", ALIASES_FILE}


def test_these_are_all_files(data: Path) -> None:
    files = {path for path in data.rglob("*") if path.is_file() and path.parts[len(data.parts)] != "other"}
    assert files == {path for pattern in (*NO_TRUTH, *TRUTH) for path in data.glob(pattern)}


@pytest.mark.parametrize("pattern", NO_TRUTH)
@DAMAGES
def test_rebuildable_files_lose_nothing_and_are_reported(
    pattern: str, damage: Callable[[Path], None], data: Path, state: State
) -> None:
    damage(one(data, pattern))
    with damage_found() as found, started(data) as catalog:
        check(catalog, [state])
        state = ask(catalog, state, Put("items", 300, 10, seed=4), Fold("items"))
        check(catalog, [state])
        assert unrepaired(catalog) == ()
    assert bool(found) == NO_TRUTH[pattern]
    with damage_found() as found, started(data) as catalog:
        check(catalog, [state])
    assert found == []


@DAMAGES
def test_a_damaged_log_is_reported_and_older_writes_survive(damage: Callable[[Path], None], data: Path) -> None:
    damage(one(data, f"items/{STORE_FILE}-wal"))
    with started(data) as catalog:
        check_still_works(catalog)
        (problem,) = unrepaired(catalog)
        assert "log is damaged or missing" in problem
    with started(data) as catalog:
        assert unrepaired(catalog) == ()
        check_still_works(catalog)


def check_still_works(catalog: Catalog) -> None:
    """Check that the index, whatever it has lost, is consistent and accepts writes."""
    index = catalog.get("items")
    ask(catalog, contents(catalog), Put("items", 400, 30, seed=5), Fold("items"), Put("items", 410, 30, seed=6))
    check_searches(index, items_of(index))
    assert index.stats().item_count == len(items_of(index))


@pytest.mark.parametrize("offset", range(3, 32 + 24 + 16, 5))
def test_no_altered_byte_at_the_start_of_a_log_goes_unnoticed(offset: int, data: Path, state: State) -> None:
    flip_at(one(data, f"items/{STORE_FILE}-wal"), offset)
    with damage_found() as found, started(data) as catalog:
        is_right = contents(catalog) == state
    assert found or is_right


def test_an_older_store_is_not_searched_with_newer_segments(data: Path, state: State) -> None:
    backup = data.parent / "backup"
    with started(data):
        pass  # folds the log into the database
    shutil.copyfile(data / "items" / STORE_FILE, backup)
    with started(data) as catalog:
        ask(catalog, state, Put("items", 500, 40, seed=7), Fold("items"))
    shutil.copyfile(backup, data / "items" / STORE_FILE)
    with damage_found() as found, started(data) as catalog:
        # These get the row numbers that the older copy has not assigned yet.
        state = ask(catalog, state, Put("items", 600, 40, seed=8))
        check(catalog, [state])
    (problem,) = found
    assert "rows that the store never assigned" in problem
    with started(data) as catalog:
        check(catalog, [state])


@DAMAGES
def test_lost_aliases_are_reported_and_can_be_set_again(
    damage: Callable[[Path], None], data: Path, state: State
) -> None:
    damage(data / ALIASES_FILE)
    with started(data) as catalog:
        assert contents(catalog).indexes == state.indexes
        for use in (lambda: catalog.get("current"), lambda: catalog.delete("other")):
            with pytest.raises(StoreDamaged, match="aliases"):
                use()
        state = ask(catalog, state, SetAlias("current", "items"))
    with started(data) as catalog:
        check(catalog, [state])


def test_an_altered_byte_in_a_store_is_reported_or_harmless(data: Path, state: State) -> None:
    """SQLite has no checksums: if the byte belongs to an item, that item differs, but no other."""
    with started(data):
        pass
    sound = (data / "items" / STORE_FILE).read_bytes()
    chance = random.Random(20_090_401)
    outcomes = {"reported": 0, "no harm": 0, "one item differs": 0}
    used = [offset for offset, byte in enumerate(sound) if byte]
    for _ in range(FLIPS_OF_A_STORE):
        altered = shutil.copytree(data, data.parent / "altered")
        offset, bit = chance.choice(used), 1 << chance.randrange(8)
        flip_at(altered / "items" / STORE_FILE, offset, bit)
        with started(altered) as catalog:
            assert len(items_of(catalog.get("other"))) == 50
            outcome = what_became_of(catalog, state.indexes["items"])
        shutil.rmtree(altered)
        assert outcome in outcomes, f"bit {bit:#x} at {offset}: {outcome}"
        outcomes[outcome] += 1
    assert outcomes["reported"] > 0
    sys.stdout.write(f"\n{FLIPS_OF_A_STORE} flips in a store of {len(sound)} bytes: {outcomes}\n")


def what_became_of(catalog: Catalog, expected: Items) -> str:
    try:
        index = catalog.get("items")
        found = items_of(index)
        index.optimize(lambda _done, _total: None).result(DEADLINE)
        (answer,) = index.search([QUERY], len(expected), None, attributes=True, recall=1.0).neighbors
        ask(catalog, State({"items": found}), Put("items", 700, 5, seed=9))
    except StoreDamaged:
        return "reported"
    different = {item_id for item_id in found.keys() | expected.keys() if found.get(item_id) != expected.get(item_id)}
    order = [neighbor.id for neighbor in answer if neighbor.id not in different]
    if order != [item_id for item_id in nearest(expected) if item_id not in different]:
        return "other items are not found"
    if not different:
        return "no harm"
    return (
        "one item differs" if len(different) <= 2 else f"{len(different)} items differ"
    )  # an altered id changes two items


def nearest(items: Items) -> list[str]:
    distances = {item_id: np.linalg.norm(np.frombuffer(item[1], "<f4") - QUERY) for item_id, item in items.items()}
    return sorted(distances, key=lambda item_id: distances[item_id])
