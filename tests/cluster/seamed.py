"""A server of ours with the seam of `tests.faults` between it and its disk and clock."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.server import Server
from tests.faults import durable_image
from tests.faults.seam import STOPPED, Mode, environment

# A point that is not reached by then, because nothing changes a file, is passed over.
REACH_SECONDS = 30.0


@dataclass
class SeamedServer:
    """A server whose disk, a folder, and clock can be faulty; `reached` counts the points at which it was stopped."""

    server: Server
    folder: Path
    library: Path
    reached: int = field(default=0, init=False)

    def start(self, *flags: str) -> None:
        """Start it with a fault, as `tests.faults.behind_seam` takes it."""
        python, dash_m, *service = self.server.command
        command = (python, dash_m, "tests.faults.behind_seam", f"--folder={self.folder}", *flags, *service)
        self.server.start(command, environment(self.library))

    def stop_at(self, number: int, mode: Mode) -> None:
        """Start it, and wait until it has stopped at its `number`-th change of a file.

        After a loss of power, the disk has only what was synced.
        """
        machine = self.folder.parent
        image = machine.with_name(f"{machine.name}-{self.folder.name}-image")  # its disk is small
        if mode is Mode.POWER_LOSS:
            shutil.rmtree(image, ignore_errors=True)
            durable_image.begin(self.folder, image)
        self.start(f"--mode={mode.name}", f"--number={number}", f"--image={image}")
        status = self.server.wait_for_end(REACH_SECONDS)
        if status is None:
            self.server.kill()
            return
        assert status == STOPPED, f"{self.server.name} ended with {status}:\n{self.server.last_lines()}"
        self.reached += 1
        if mode is Mode.POWER_LOSS:
            self._restore(image)

    def _restore(self, image: Path) -> None:
        survived = image.with_name(f"{image.name}-survived")
        shutil.rmtree(survived, ignore_errors=True)
        durable_image.restore(self.folder, image, survived)
        for each in self.folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        shutil.copytree(survived, self.folder, dirs_exist_ok=True)
