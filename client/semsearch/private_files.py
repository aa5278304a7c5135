"""Files that are replaced in one step, and can be read by nobody else unless their mode says so."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

_PRIVATE = 0o600  # a key lets whoever reads it act for anyone


def replace_file(path: Path, content: bytes, mode: int = _PRIVATE, like: os.stat_result | None = None) -> None:
    """Write a file that appears complete and on disk, in place of another one; if that fails, nothing has changed.

    Args:
        path: The file.
        content: All of it.
        mode: The mode of a new file, less what the system's umask forbids.
        like: What `stat` said of a file whose mode and owner the new one gets.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if like is not None:
            draft.chmod(like.st_mode & 0o777)
            with suppress(AttributeError, PermissionError):  # only root may give files away, and Windows has no owners
                os.chown(draft, like.st_uid, like.st_gid)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
