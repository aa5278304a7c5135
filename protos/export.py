"""Copy the protos that clients need into one folder: `python protos/export.py FOLDER`.

protoc, buf and every generator build the folder as it lies. It holds the public protos, those of the index service,
which an operator calls directly, and the files of google/rpc for statuses and error details. The last are not ours, so
they are not in this repository; they come from googleapis-common-protos, whose version requirements.lock pins.
"""

from __future__ import annotations

import shutil
import sys
from importlib import resources
from pathlib import Path

OWN = ("semsearch/v1", "semsearch/index/v1")
GOOGLE = ("code.proto", "error_details.proto", "status.proto")


def export(protos: Path, folder: Path) -> None:
    """Copy into a new folder, so that it holds no proto that is gone.

    Raises:
        FileExistsError: The folder exists.
    """
    folder.mkdir(parents=True)
    for package in OWN:
        shutil.copytree(protos / package, folder / package)
    (folder / "google" / "rpc").mkdir(parents=True)
    for name in GOOGLE:
        (folder / "google" / "rpc" / name).write_bytes(resources.files("google.rpc").joinpath(name).read_bytes())
    shutil.copy(protos.parent / "LICENSE", folder)  # Apache-2.0, the licence of google/rpc too


if __name__ == "__main__":
    try:
        export(Path(__file__).parent, Path(sys.argv[1]))
    except FileExistsError as error:
        sys.exit(f"{error.filename} exists already. Remove it, or name another folder.")
