"""Stops the index service at every point of a scenario: `python -m tests.faults.runner SCENARIO MODE FOLDER`.

A process of its own, because the seam must be loaded before it starts. It stays warm and forks: for each point, one
child carries the scenario out, until it is stopped there, over a copy of the same data folder; the next opens what that
left and checks it. Standard output is a report in JSON.
"""

from __future__ import annotations

import errno
import gc
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from index_service.catalog import Catalog, DamagedIndex, open_catalog
from index_service.definition import EngineKind, IndexDefinition
from index_service.engines.annoy import AnnoyEngine
from index_service.engines.contract import Engine, Progress
from index_service.engines.exact import ExactEngine
from index_service.errors import IndexExists, StorageFull
from index_service.merge_plan import Thresholds
from index_service.vector_index import VectorIndex
from tests.faults import durable_image
from tests.faults.oracle import check, held, leftovers
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.seam import NEEDS_ROOM, SYNC, WRITE, Mode, Seam
from tests.faults.steps import DEADLINE, Close, Put, State, Step
from tests.unit.index_service.engines_in_process import InProcess

# So high that merges come only where a scenario asks for them, at the same point each time.
NEVER = Thresholds(full_scan_threshold=10**9, deleted_threshold=1.0, vacuum_min_vector_number=10**9)
STOPPED = 137
_MOST_FAILURES = 5


class FullDisk(InProcess):
    """Says of a full disk what the real process says; Annoy itself gives a text only."""

    def run(
        self, engine: str, vectors_file: Path, folder: Path, settings: tuple[float, ...], progress: Progress
    ) -> None:
        try:
            super().run(engine, vectors_file, folder, settings, progress)
        except OSError as error:
            if error.errno == errno.ENOSPC or "No space left" in str(error):
                raise StorageFull(folder, "no space for a segment") from error
            raise


def engine_of(definition: IndexDefinition) -> Engine:
    exact = definition.engine is EngineKind.EXACT
    return ExactEngine() if exact else AnnoyEngine(definition.recall_target, trees=10, process=FullDisk())


class Run:
    """One scenario in one mode."""

    def __init__(self, scenario: Scenario, mode: Mode, folder: Path, seam: Seam) -> None:
        self.scenario = scenario
        self.mode = mode
        self.states = scenario.states()
        self.seam = seam
        self.prepared, self.data = folder / "prepared", folder / "data"
        self.image, self.survived = folder / "image", folder / "survived"
        self.failures: list[str] = []

    def report(self) -> dict[str, object]:
        """Goes from point to point until the scenario is not stopped any more."""
        self._fork(lambda _: self._prepare(), ends_with=0)
        for change in filter(None, (self.scenario.leftover, self.scenario.damage)):
            change(self.prepared)
        kinds = self._count()
        tried = 0
        for number, kind in enumerate(kinds, 1):
            if self._matters(kind):
                tried += 1
                self._stop_at(number, kind)
            if len(self.failures) == _MOST_FAILURES:
                break
        return {"points": len(kinds), "tried": tried, "kinds": kinds, "failures": self.failures}

    def _matters(self, kind: str) -> bool:
        match self.mode:
            case Mode.STOP_HALFWAY:
                return kind == WRITE
            case Mode.NO_SPACE:  # from any other point on is from the next of these on
                return kind in NEEDS_ROOM
            case Mode.POWER_LOSS:  # between two syncs nothing more survives
                return kind == SYNC
            case _:
                return True

    def _count(self) -> str:
        """Carries the scenario out to its end and returns the kinds of its points."""
        self._copy()
        # In this process, so that whatever is imported on first use is there for the children. No thread outlives it.
        self._perform(Mode.COUNT, 0, lambda: None)
        kinds = self.seam.kinds()
        self._check([self.states[-1]])
        gc.freeze()  # what is here now is not looked through, and so not copied, in each child
        return kinds

    def _stop_at(self, number: int, kind: str) -> None:
        self._copy()
        place = f"{self.scenario.name}, {self.mode.name} at point {number} ({kind})"
        try:
            if self.mode is Mode.NO_SPACE:
                self._fork(lambda _: self._without_room(number), ends_with=0)
                return
            told = self._fork(
                lambda pipe: self._perform(self.mode, number, lambda: os.write(pipe, b".")), ends_with=STOPPED
            )
            data = self.data
            if self.mode is Mode.POWER_LOSS:
                durable_image.restore(self.data, self.image, self.survived)
                data = self.survived
            # What was answered is there, and what was asked next may be.
            allowed = self.states[len(told) : len(told) + 2]
            self._fork(lambda _: self._check(allowed, data), ends_with=0)
        except AssertionError as error:
            self.failures.append(f"{place}: {error}")

    def _perform(self, mode: Mode, number: int, after: Callable[[], object]) -> None:
        with self._opened(mode, number) as catalog:

            def do(step: Step) -> None:
                step.perform(catalog, do)
                after()

            for step in self.scenario.steps:
                do(step)

    @contextmanager
    def _opened(self, mode: Mode, number: int) -> Iterator[Catalog]:
        """Arms the seam before the start of the service, or after it."""
        if self.scenario.from_start:
            self._arm(mode, number)
        else:
            self.seam.arm(self.data, Mode.COUNT)
        with open_catalog(self.data, engine_of, NEVER) as catalog:
            if not self.scenario.from_start:
                self._arm(mode, number)
            yield catalog

    def _arm(self, mode: Mode, number: int) -> None:
        if mode is Mode.POWER_LOSS:
            durable_image.begin(self.data, self.image)
        self.seam.arm(self.data, mode, number, self.image)

    def _without_room(self, number: int) -> None:
        """The disk is full from a point on: reads go on, writes are refused; with room again, all goes on."""
        state = self.states[0]
        refused: list[Step] = []

        def do(step: Step) -> None:
            nonlocal state
            try:
                after = step.applied(state)
                step.perform(catalog, do)
            except (KeyError, StorageFull):  # what it is about was refused, or it was itself
                refused.append(step)
            except IndexExists:
                if step not in again:  # created, but there was no room to open it
                    raise
                state = after
            else:
                state = step.applied(state)  # again: there may have been steps within it

        again: list[Step] = []
        with self._opened(Mode.NO_SPACE, number) as catalog:
            for step in self.scenario.steps:
                do(step)
            if not any(isinstance(step, Close) for step in self.scenario.steps):
                if not closed_for_lack_of_room(catalog):
                    check(catalog, [state])
                self.seam.arm(self.data, Mode.COUNT)
                wait_until_open(catalog)
                again, refused = refused, []
                for step in again:
                    do(step)
                assert not refused, f"still refused: {refused}"
                for name in state.indexes:
                    do(Put(name, 1_000, 5, seed=11))
                check(catalog, [state])
        self._check([state])

    def _check(self, allowed: Sequence[State], data: Path | None = None) -> None:
        """Starts the service twice: it holds one of the states, and the second time there is nothing left to mend."""
        data = data or self.data
        self.seam.arm(data, Mode.COUNT)  # so that nothing is synced in earnest
        with open_catalog(data, engine_of, NEVER) as catalog:
            state = check(catalog, allowed)
            told = repairs(catalog)
            assert self.scenario.damage or not told, f"repaired although nothing was damaged: {told}"
            for name in state.indexes:
                catalog.get(name).optimize(lambda _done, _total: None).result(DEADLINE)
            assert not leftovers(data), f"left over: {leftovers(data)}"
        with open_catalog(data, engine_of, NEVER) as catalog:
            assert held(catalog) == state
            assert not repairs(catalog)

    def _prepare(self) -> None:
        self.seam.arm(self.prepared, Mode.COUNT)
        with open_catalog(self.prepared, engine_of, NEVER) as catalog:

            def do(step: Step) -> None:
                step.perform(catalog, do)

            for step in self.scenario.before:
                do(step)
            os._exit(0)  # as if it had been killed: the log of the store is not folded in

    def _copy(self) -> None:
        for folder in (self.data, self.image, self.survived):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.prepared, self.data)

    def _fork(self, work: Callable[[int], None], *, ends_with: int) -> bytes:
        """Does work in a child, which must end with a status; returns what it wrote to the pipe given to it."""
        reading, writing = os.pipe()
        complaints, complaining = os.pipe()
        if (child := os.fork()) == 0:
            try:
                work(writing)
                os._exit(0)
            except BaseException:  # noqa: BLE001 — the parent tells it
                os.write(complaining, traceback.format_exc()[-4_000:].encode())
                os._exit(1)
        os.close(writing)
        os.close(complaining)
        with os.fdopen(reading, "rb") as told, os.fdopen(complaints, "rb") as complained:
            content, complaint = told.read(), complained.read().decode(errors="replace")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == ends_with, f"ended with status {status} instead of {ends_with}: {complaint}"
        return content


def repairs(catalog: Catalog) -> list[str]:
    """Returns what the indexes say that was mended."""
    indexes = (index for index in catalog.page("", 99) if isinstance(index, VectorIndex))
    return [repair for index in indexes for repair in index.stats().repairs]


def closed_for_lack_of_room(catalog: Catalog) -> list[DamagedIndex]:
    """Returns the indexes that could not be opened; there may be no other reason than a full disk."""
    closed = [index for index in catalog.page("", 99) if isinstance(index, DamagedIndex)]
    assert all(isinstance(index.problem, StorageFull) for index in closed), closed
    return closed


def wait_until_open(catalog: Catalog) -> None:
    """Tries again, as the error says, until there is room."""
    until = time.monotonic() + DEADLINE
    while closed := closed_for_lack_of_room(catalog):
        assert time.monotonic() < until, closed
        for index in closed:
            with suppress(StorageFull):
                catalog.get(index.name)
        time.sleep(0.001)


def main() -> None:
    name, mode, folder = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    (scenario,) = (each for each in SCENARIOS if each.name == name)
    sys.stdout.write(json.dumps(Run(scenario, Mode[mode], Path(folder), Seam()).report()))


if __name__ == "__main__":
    main()
