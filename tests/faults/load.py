"""Writers and merges at full speed, killed again and again: `python -m tests.faults.load SEED KILLS FOLDER`.

Each writer has its own ids and sends one request at a time, so the number of its answers determines what was
acknowledged and what is pending. It runs in its own process, because it forks. It prints a JSON report.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import structlog

from index_service.local.catalog import open_catalog
from index_service.local.merge_plan import Thresholds
from tests.faults.oracle import check_searches, contents, leftovers
from tests.faults.steps import DEADLINE, Create, Items, Put, Remove, Retag, State, Step
from tests.unit.index_service.damage_found import damage_count
from tests.unit.index_service.engines_in_process import engine_of

INDEX = "one"
WRITERS = 3
_IDS = 80  # of each writer
_LONGEST_SECONDS = 0.25
# So low that merges never stop.
THRESHOLDS = Thresholds(full_scan_threshold=40, deleted_threshold=0.2, vacuum_min_vector_number=20)


def own(items: Items, writer: int) -> Items:
    """Return the items that are a writer's."""
    return {item_id: item for item_id, item in items.items() if int(item_id) // _IDS == writer}


def requests(seed: str, writer: int, items: Items) -> Iterator[tuple[Step, Items]]:
    """Yield a writer's requests in order, with its items after each; they are deterministic."""
    chance = random.Random(f"{seed}/{writer}")
    state = State({INDEX: items})
    while True:
        count = chance.randint(1, 20)
        first = writer * _IDS + chance.randrange(_IDS - count)
        step: Step
        match chance.choices(("put", "remove", "retag"), (5, 2, 3))[0]:
            case "put":
                step = Put(INDEX, first, count, seed=chance.randrange(10**9))
            case "remove":
                step = Remove(INDEX, first, count)
            case _:
                if not state.indexes[INDEX]:
                    continue
                step = Retag(INDEX, int(chance.choice(sorted(state.indexes[INDEX]))), 1, tag=str(chance.random()))
        state = step.applied(state)
        yield step, state.indexes[INDEX]


def work(folder: Path, seed: str, items: Items, pipe: int) -> None:
    """Write and merge until the process is killed; write a writer's number to the pipe at each answer."""
    with open_catalog(folder, engine_of, THRESHOLDS) as catalog:

        def write(writer: int) -> None:
            for step, _ in requests(seed, writer, own(items, writer)):
                step.perform(catalog, lambda _: None)
                os.write(pipe, bytes([writer]))

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        while True:
            catalog.get(INDEX).optimize(lambda _done, _total: None).result(DEADLINE)


def kill(folder: Path, seed: str, items: Items) -> Counter[int]:
    """Let a child work, kill it at a random moment, and return the number of answers of each writer."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            work(folder, seed, items, writing)
        except BaseException:  # noqa: BLE001 — whatever the error, the parent notices that the child ended too early
            traceback.print_exc()
        os._exit(1)
    os.close(writing)
    time.sleep(random.Random(seed).uniform(0, _LONGEST_SECONDS))
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(reading, "rb") as pipe:
        answers = Counter(pipe.read())
    assert status == -signal.SIGKILL, f"it ended by itself with status {status}"
    return answers


def restart(folder: Path, seed: str, before: Items, answers: Counter[int]) -> Items:
    """Check the items after a kill, and return them."""
    with open_catalog(folder, engine_of, THRESHOLDS) as catalog:
        found = contents(catalog).indexes[INDEX]
        for writer in range(WRITERS):
            stream = requests(seed, writer, own(before, writer))
            states = [own(before, writer), *(next(stream)[1] for _ in range(answers[writer] + 1))]
            assert own(found, writer) in states[-2:], (
                f"writer {writer}: neither the answered requests nor these and the next one"
            )
        index = catalog.get(INDEX)
        assert index.stats().item_count == len(found)
        assert not damage_count()
        check_searches(index, found)
        index.optimize(lambda _done, _total: None).result(DEADLINE)
        assert not leftovers(folder)
    return found


def main() -> None:
    seed, kills, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with open_catalog(folder, engine_of, THRESHOLDS) as catalog:
        Create(INDEX).perform(catalog, lambda _: None)
    items: Items = {}
    total = 0
    for number in range(kills):
        this = f"{seed}.{number}"
        try:
            answers = kill(folder, this, items)
            items = restart(folder, this, items, answers)
        except Exception:  # noqa: BLE001 — it goes into the report
            sys.stdout.write(json.dumps({"kills": number, "failure": f"seed {this}: {traceback.format_exc()}"}))
            return
        total += answers.total()
    sys.stdout.write(json.dumps({"kills": kills, "answers": total, "failure": None}))


if __name__ == "__main__":
    main()
