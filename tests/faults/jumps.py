"""Makes the wall clock jump before each request: `python -m tests.faults.jumps FOLDER` (with the seam loaded)."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from index_service.local.catalog import open_catalog
from index_service.local.merge_plan import Thresholds
from tests.faults.oracle import check
from tests.faults.seam import Seam
from tests.faults.steps import DEADLINE, Create, Fold, Put, Remove, Retag, SetAlias, State, Step
from tests.unit.index_service.damage_found import damage_count
from tests.unit.index_service.engines_in_process import engine_of

YEAR = 366 * 86_400
JUMPS = (30 * YEAR, -30 * YEAR, -86_400, 3_600, 0)
STARTS: tuple[tuple[Step, ...], ...] = (
    (Create("one"), Put("one", 0, 120, seed=1), SetAlias("current", "one"), Put("one", 100, 60, seed=2)),
    (Remove("one", 0, 30), Fold("one", during=(Remove("one", 30, 10),)), Create("two"), Put("two", 0, 9, seed=3)),
    (Retag("one", 50, 40, tag="late"), SetAlias("current", "two"), Fold("one"), Put("two", 0, 5, seed=4)),
)
# Low enough to cause background merges.
THRESHOLDS = Thresholds(full_scan_threshold=50, deleted_threshold=0.2, vacuum_min_vector_number=20)


def main() -> None:
    seam = Seam()
    jumps = itertools.cycle(JUMPS)
    now = time.time()
    seam.set_clock(10 * YEAR)
    if time.time() < now + 9 * YEAR:
        raise SystemExit("The clock does not jump: the seam is not loaded.")
    state = State()
    for steps in STARTS:
        seam.set_clock(next(jumps))
        with open_catalog(Path(sys.argv[1]), engine_of, THRESHOLDS) as catalog:

            def do(step: Step) -> None:
                nonlocal state
                seam.set_clock(next(jumps))
                step.perform(catalog, do)
                state = step.applied(state)

            for step in steps:
                do(step)
                check(catalog, [state])
            for name in state.indexes:
                index = catalog.get(name)
                index.optimize(lambda _done, _total: None).result(DEADLINE)
                if damage_count():
                    raise SystemExit("Damage was found, although there was none.")
            check(catalog, [state])


if __name__ == "__main__":
    main()
