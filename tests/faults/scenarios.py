"""The scenarios during which the service is stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from index_service.local.segments import SEGMENTS_FOLDER
from tests.faults.steps import (
    Close,
    Copy,
    Create,
    Die,
    Drop,
    DropAlias,
    Fold,
    Put,
    Remove,
    Retag,
    SetAlias,
    State,
    Step,
    in_order,
)


@dataclass(frozen=True)
class Scenario:
    """A scenario: `steps` are requested of a service that was killed after `before`."""

    name: str
    before: Sequence[Step]
    steps: Sequence[Step]
    from_start: bool = False  # points include the start of the service
    leftover: Callable[[Path], None] | None = None  # applied to the data folder in between; not reported
    damage: Callable[[Path], None] | None = None  # applied in between too; the start reports it

    def states(self) -> list[State]:
        """Return the states before the first answer and after each."""
        states = [reduce(lambda state, step: step.applied(state), in_order(self.before), State())]
        for step in in_order(self.steps):
            states.append(step.applied(states[-1]))
        return states


def _add_unnamed_segment(folder: Path) -> None:
    """Add the files that a merge leaves if it is stopped before its commit."""
    segments = folder / "one" / SEGMENTS_FOLDER
    shutil.copytree(next(segments.glob("segment-*")), segments / "segment-unnamed")


def _cut_off_forest(folder: Path) -> None:
    (forest,) = (folder / "one" / SEGMENTS_FOLDER).glob("segment-*/*.ann")
    forest.write_bytes(forest.read_bytes()[:-7])


_FILLED = (Create("one"), Put("one", 0, 200, seed=1))
_MERGED = (*_FILLED, Fold("one"), Put("one", 150, 100, seed=2), Remove("one", 0, 20))
_TWO = (*_FILLED, Create("two"), Put("two", 0, 30, seed=3))

SCENARIOS = (
    Scenario("create", _FILLED, (Create("two"), Put("two", 0, 5, seed=4))),
    Scenario(
        "ingest",
        _MERGED,
        (
            Put("one", 250, 60, seed=5),
            Put("one", 240, 30, seed=6),
            Retag("one", 100, 120, tag="seen"),
            Put("one", 300, 20, seed=7, times=3),
            Retag("one", 300, 5, tag="new"),
        ),
    ),
    Scenario("delete", _MERGED, (Remove("one", 30, 5), Remove("one", 10, 200), Remove("one", 0, 300))),
    Scenario(
        "merge",
        _MERGED,
        (
            Fold("one", during=(Remove("one", 40, 30), Put("one", 60, 20, seed=8))),
            Fold("one"),
            Remove("one", 0, 400),
            Fold("one"),
        ),
    ),
    Scenario(
        "alias switch",
        (*_TWO, SetAlias("current", "one")),
        (SetAlias("current", "two"), SetAlias("other", "one"), SetAlias("current", "one"), DropAlias("other")),
    ),
    Scenario("import", _MERGED, (Copy("one", "copy"), Put("copy", 0, 5, seed=11))),
    Scenario("drop", (*_TWO, Fold("one")), (Drop("one"), Create("one"), Put("one", 0, 3, seed=9))),
    Scenario("close", _MERGED, (Put("one", 300, 100, seed=9), Retag("one", 100, 50, tag="late"), Close())),
    Scenario(
        "start with leftovers",
        (*_TWO, SetAlias("current", "two"), Fold("one"), Put("one", 0, 9, seed=9), Fold("one", during=(Die(),))),
        (Put("one", 0, 5, seed=10),),
        from_start=True,
        leftover=_add_unnamed_segment,
    ),
    Scenario(
        "start and rebuild",
        _MERGED,
        (Fold("one"), Put("one", 0, 5, seed=10)),
        from_start=True,
        damage=_cut_off_forest,
    ),
)
