"""What a release ships, in one folder, with signed checksums.

    semsearch-<version>.tar.gz     the suite's source, as committed, with its locks
    semsearch-….whl                the Python client
    semsearch.cdx.json             the bill of materials
    SHA256SUMS, SHA256SUMS.sig     the checksums of all files above, signed by OpenSSH (`ssh-keygen -Y`)

Anyone who has the public key checks them with two standard programs; SECURITY.md has the commands.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

CHECKSUMS = "SHA256SUMS"
NAMESPACE = "semsearch-release"


class NotReleasable(Exception):
    """The checkout is not one that can be released, or the key cannot sign."""


def committed_at(root: Path) -> datetime:
    """Return the time of the last commit, in UTC."""
    return datetime.fromtimestamp(int(_git(root, "log", "-1", "--format=%ct")), UTC)


def write_source(root: Path, target: Path, name: str) -> None:
    """Write the source of the last commit as `target`, a tar.gz whose files lie in the folder `name`.

    Raises:
        NotReleasable: A file was changed since.
    """
    if changed := _git(root, "status", "--porcelain", "--untracked-files=no").decode():
        raise NotReleasable(f"Files were changed since the last commit. Commit or undo this first:\n{changed.rstrip()}")
    archive = _git(root, "archive", f"--prefix={name}/", "HEAD")
    target.write_bytes(gzip.compress(archive, mtime=0))  # the same commit gives the same bytes


def write_checksums(folder: Path) -> Path:
    """Write the SHA-256 of each file in the folder, as `sha256sum --check` reads them, and return the file."""
    sums = folder / CHECKSUMS
    files = sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith(CHECKSUMS))
    sums.write_text("".join(_lines(files)), encoding="utf-8")
    return sums


def sign(sums: Path, key: Path) -> Path:
    """Sign the checksums with an OpenSSH private key, and return the signature's file.

    Raises:
        NotReleasable: The key cannot sign.
    """
    signature = sums.with_name(f"{sums.name}.sig")
    signature.unlink(missing_ok=True)
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", NAMESPACE, sums],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotReleasable(f"ssh-keygen cannot sign with {key}: {done.stderr.strip()}")
    return signature


def _lines(files: Iterable[Path]) -> Iterable[str]:
    for file in files:
        with file.open("rb") as content:
            yield f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {file.name}\n"


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", root, *arguments], capture_output=True, check=True).stdout
