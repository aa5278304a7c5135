"""What is left on the disk, at worst, when a machine stops: only what was synced (`stop_at.c`, `keep`)."""

from __future__ import annotations

import shutil
from pathlib import Path


def begin(folder: Path, image: Path) -> None:
    """Begin an image in which everything below a folder is synced."""
    (image / "removed").mkdir(parents=True)
    for path in (folder, *folder.rglob("*")):
        kept = image / str(path.stat().st_ino)
        if path.is_dir():
            names = [f"{each.stat().st_ino} {'d' if each.is_dir() else 'f'} {each.name}\n" for each in path.iterdir()]
            kept.write_text("".join(names))
        else:
            shutil.copyfile(path, kept)


def restore(folder: Path, image: Path, into: Path) -> None:
    """Write what survived of a folder: the synced names with their synced bytes."""
    _restore(folder.stat().st_ino, image, into)


def _restore(inode: int, image: Path, into: Path) -> None:
    into.mkdir()
    names = image / str(inode)
    for line in names.read_text().splitlines() if names.exists() else ():
        number, kind, name = line.split(" ", 2)
        content = image / number
        if kind == "d":
            _restore(int(number), image, into / name)
        elif content.exists():
            shutil.copyfile(content, into / name)
        else:
            (into / name).touch()
