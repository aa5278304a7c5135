"""Unpack the photos of a set, and read their credits."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from semsearch.demo.photo_set import PhotoSet
from semsearch.errors import DownloadFailed
from semsearch.values import Attributes

_CREDITS = "LICENSE.txt"
_CREDIT = re.compile(r"^(\S+)\s+CC-BY by (.+?) - (https?://\S+)$")


def unpack(photos: PhotoSet, archive: Path, folder: Path) -> None:
    """Unpack the archive; `folder` appears only when it is complete.

    Raises:
        DownloadFailed: the archive cannot be unpacked.
    """
    temporary = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(temporary, filter="data")
        (temporary / photos.root).rename(folder)
    except (OSError, tarfile.TarError) as error:
        raise DownloadFailed(
            f"{archive} cannot be unpacked: {error}.", hint="Make room on the disk if it is full, then try again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def attributes_of(photos: PhotoSet, folder: Path) -> Callable[[str], Attributes]:
    """Return a function from a photo's path in the folder to its attributes: what it shows, licence and credit."""
    file = folder / _CREDITS
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    credits_ = {match[1]: (match[2], match[3]) for line in lines if (match := _CREDIT.match(line.strip()))}

    def attributes(path: str) -> Attributes:
        found: dict[str, str] = {"label": path.partition("/")[0], "licence": photos.licence}
        if credit := credits_.get(path):
            found["photographer"], found["source"] = credit
        return found

    return attributes
