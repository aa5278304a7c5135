"""Stops the index service at every point of a scenario: `python -m tests.faults.runner SCENARIO MODE FOLDER`.

It runs in its own process, because the seam must be loaded before it starts. It stays warm and forks: for each point,
one child runs the scenario on a copy of the same data folder until it is stopped there, and the next one opens and
checks what is left. It prints a JSON report.
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

from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import DamagedIndex
from index_service.engines.annoy import AnnoyEngine
from index_service.engines.contract import Engine, Progress
from index_service.engines.exact import ExactEngine
from index_service.errors import IndexExists, StorageFull
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.merge_plan import Thresholds
from tests.faults import durable_image
from tests.faults.oracle import check, contents, leftovers
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.seam import NEEDS_SPACE, STOPPED, SYNC, WRITE, Mode, Seam
from tests.faults.steps import DEADLINE, Close, Put, State, Step
from tests.unit.index_service.damage_found import damage_count
from tests.unit.index_service.engines_in_process import InProcess

# So high that merges happen only when a scenario requests them, at the same point each time.
NEVER = Thresholds(full_scan_threshold=10**9, deleted_threshold=1.0, vacuum_min_vector_number=10**9)
_MAX_FAILURES = 5


class FullDisk(InProcess):
    """Reports a full disk as the real process does; Annoy itself only gives a message."""

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
        """Stop the scenario at each of its points, and report the results."""
        self._fork(lambda _: self._prepare(), ends_with=0)
        for change in filter(None, (self.scenario.leftover, self.scenario.damage)):
            change(self.prepared)
        kinds = self._count()
        tried = 0
        for number, kind in enumerate(kinds, 1):
            if self._matters(kind):
                tried += 1
                self._stop_at(number, kind)
            if len(self.failures) == _MAX_FAILURES:
                break
        return {"points": len(kinds), "tried": tried, "kinds": kinds, "failures": self.failures}

    def _matters(self, kind: str) -> bool:
        match self.mode:
            case Mode.STOP_HALFWAY:
                return kind == WRITE
            case Mode.NO_SPACE:  # at any other point, the effect begins only at the next of these
                return kind in NEEDS_SPACE
            case Mode.POWER_LOSS:  # between two syncs, nothing more survives
                return kind == SYNC
            case _:
                return True

    def _count(self) -> str:
        """Run the whole scenario and return the kinds of its points."""
        self._copy()
        # In this process, so that its children inherit all lazy imports. No thread outlives it.
        self._perform(Mode.COUNT, 0, lambda: None)
        kinds = self.seam.kinds()
        self._check([self.states[-1]])
        gc.freeze()  # so that children do not scan, and so do not copy, existing objects
        return kinds

    def _stop_at(self, number: int, kind: str) -> None:
        self._copy()
        place = f"{self.scenario.name}, {self.mode.name} at point {number} ({kind})"
        try:
            if self.mode is Mode.NO_SPACE:
                self._fork(lambda _: self._with_full_disk(number), ends_with=0)
                return
            answers = self._fork(
                lambda pipe: self._perform(self.mode, number, lambda: os.write(pipe, b".")), ends_with=STOPPED
            )
            data = self.data
            if self.mode is Mode.POWER_LOSS:
                durable_image.restore(self.data, self.image, self.survived)
                data = self.survived
            # All answered requests took effect, and the next one may have.
            allowed = self.states[len(answers) : len(answers) + 2]
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
        """Arm the seam before the start of the service, or after it."""
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

    def _with_full_disk(self, number: int) -> None:
        """Fill the disk from a point on: reads work, writes are refused; with free space, everything works again."""
        state = self.states[0]
        refused: list[Step] = []

        def do(step: Step) -> None:
            nonlocal state
            try:
                after = step.applied(state)
                step.perform(catalog, do)
            except (KeyError, StorageFull):  # this step or one that it depends on was refused
                refused.append(step)
            except IndexExists:
                if step not in again:  # it was created, but there was no space to open it
                    raise
                state = after
            else:
                state = step.applied(state)  # apply it again, because it may have run inner steps

        again: list[Step] = []
        with self._opened(Mode.NO_SPACE, number) as catalog:
            for step in self.scenario.steps:
                do(step)
            if not any(isinstance(step, Close) for step in self.scenario.steps):
                if not closed_by_full_disk(catalog):
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
        """Start the service twice; it must hold one of the states, and need no repair at the second start."""
        data = data or self.data
        self.seam.arm(data, Mode.COUNT)  # so that syncs are skipped
        damages = damage_count()
        with open_catalog(data, engine_of, NEVER) as catalog:
            state = check(catalog, allowed)
            assert self.scenario.damage or damage_count() == damages, "damage was found, although there was none"
            for name in state.indexes:
                catalog.get(name).optimize(lambda _done, _total: None).result(DEADLINE)
            assert not leftovers(data), f"left over: {leftovers(data)}"
        damages = damage_count()
        with open_catalog(data, engine_of, NEVER) as catalog:
            assert contents(catalog) == state
            assert damage_count() == damages

    def _prepare(self) -> None:
        self.seam.arm(self.prepared, Mode.COUNT)
        with open_catalog(self.prepared, engine_of, NEVER) as catalog:

            def do(step: Step) -> None:
                step.perform(catalog, do)

            for step in self.scenario.before:
                do(step)
            os._exit(0)  # as if killed: the store's log is not folded into the database

    def _copy(self) -> None:
        for folder in (self.data, self.image, self.survived):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.prepared, self.data)

    def _fork(self, work: Callable[[int], None], *, ends_with: int) -> bytes:
        """Run `work` in a child, which must exit with status `ends_with`; return what it wrote to its pipe."""
        reading, writing = os.pipe()
        errors, error_pipe = os.pipe()
        if (child := os.fork()) == 0:
            try:
                work(writing)
                os._exit(0)
            except BaseException:  # noqa: BLE001 — the parent reports it
                os.write(error_pipe, traceback.format_exc()[-4_000:].encode())
                os._exit(1)
        os.close(writing)
        os.close(error_pipe)
        with os.fdopen(reading, "rb") as output, os.fdopen(errors, "rb") as error_file:
            content, error = output.read(), error_file.read().decode(errors="replace")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == ends_with, f"ended with status {status} instead of {ends_with}: {error}"
        return content


def closed_by_full_disk(catalog: Catalog) -> list[DamagedIndex]:
    """Return the indexes that could not be opened; the only reason must be a full disk."""
    closed = [index for index in catalog.page("", 99) if isinstance(index, DamagedIndex)]
    assert all(isinstance(index.problem, StorageFull) for index in closed), closed
    return closed


def wait_until_open(catalog: Catalog) -> None:
    """Retry, as the error suggests, until there is space."""
    until = time.monotonic() + DEADLINE
    while closed := closed_by_full_disk(catalog):
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
