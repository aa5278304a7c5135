"""The service is stopped, its disk is full, or the power is lost, at every single change of a file.

After each, acknowledged writes exist, those in flight exist completely or not at all, and searches are correct. With
`-s`, a table shows the number of points.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.seam import Mode, environment

ROOT = Path(__file__).parents[2]
MODES = [mode for mode in Mode if mode is not Mode.COUNT]
TIMEOUT = 600.0

Reports = dict[tuple[str, Mode], Future[dict[str, Any]]]


def report(library: Path, folder: Path, scenario: str, mode: Mode) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.runner", scenario, mode.name, str(folder)],
        cwd=ROOT,
        env=environment(library),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def reports(
    seam_library: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Reports]:
    """Start the runs to be tested, two at a time: each is one process that mostly waits for its child."""
    chosen = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    ]
    with ThreadPoolExecutor(2) as threads:
        started: Reports = {
            (each["scenario"], each["mode"]): threads.submit(
                report, seam_library, tmp_path_factory.mktemp("run"), each["scenario"], each["mode"]
            )
            for each in chosen
        }
        yield started
    print_table(started)


def print_table(started: Reports) -> None:
    line = "{:22}{:>8}{:>13}{:>11}{:>12}\n"
    table = line.format("", "points", "torn writes", "full disk", "power loss")
    together = dict.fromkeys(MODES, 0)
    for scenario in dict.fromkeys(scenario for scenario, _ in started):
        tried = {mode: started[scenario, mode].result()["tried"] for mode in MODES if (scenario, mode) in started}
        table += line.format(scenario, *(tried.get(mode, "") for mode in MODES))
        together = {mode: count + tried.get(mode, 0) for mode, count in together.items()}
    sys.stdout.write("\n" + table + line.format("together", *together.values()))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
def test_acknowledged_writes_survive_and_none_is_partial(scenario: str, mode: Mode, reports: Reports) -> None:
    found = reports[scenario, mode].result()
    assert not found["failures"], "\n".join(found["failures"])
    assert found["tried"] > 0
