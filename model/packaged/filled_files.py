"""Makes a file of a recipe from an installed Python package.

Contract: the package's file is opened only if it is exactly the one that the recipe names. The result is kept only if
it has the checksum in the manifest. It exists completely or not at all.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from model.bundle.manifest import File
from model.bundle.recipe import FilledFile
from model.errors import PackageFileWrong, PackageMissing, RecipeUnusable
from model.packaged.filled_backbone import fill
from serving.durable_files import sha256, write_file


def fill_file(filled: FilledFile, file: File, templates: Path, folder: Path) -> Path:
    """Make the file in `folder` unless it exists, and return its path; `templates` is the folder of its template.

    Raises:
        PackageMissing: the package is not installed, or has another version.
        PackageFileWrong: the package's file is not the one that the recipe names, or cannot be read.
        RecipeUnusable: the template does not give the file that the manifest names.
        OSError: the file cannot be written.
    """
    complete = folder / file.sha256
    if complete.exists():
        return complete
    content = fill(templates / filled.template, installed_file(filled))
    if (found := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise RecipeUnusable(
            f"{filled.template} and {filled.package} do not give the {file.name} that the recipe names: its SHA-256 is "
            f"{found}, not {file.sha256}. Get the recipe again."
        )
    write_file(complete, content)
    return complete


def installed_file(filled: FilledFile) -> Path:
    """Return the file of the installed package, checked by version, size and checksum.

    Raises:
        PackageMissing, PackageFileWrong: see `fill_file`.
    """
    try:
        installed: Distribution = distribution(filled.package)
    except PackageNotFoundError as error:
        raise PackageMissing(filled.package, filled.version, "") from error
    if installed.version != filled.version:
        raise PackageMissing(filled.package, filled.version, installed.version)
    file = Path(str(installed.locate_file(filled.path)))
    try:
        size = file.stat().st_size
        found = sha256(file) if size == filled.size else ""
    except OSError as error:
        raise PackageFileWrong(file.name, f"it cannot be read ({error.strerror})") from error
    if size != filled.size:
        raise PackageFileWrong(file.name, f"it has {size:,} bytes, not {filled.size:,}")
    if found != filled.sha256:
        raise PackageFileWrong(file.name, f"its SHA-256 is {found}, not {filled.sha256}")
    return file
