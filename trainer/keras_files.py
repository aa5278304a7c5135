"""Read .keras files, halve their size, and make their bytes reproducible.

A .keras file is a zip with the weights in `model.weights.h5`; Keras casts what it reads there to the type of the
layer's own variables. So a file whose kernels are float16 loads with plain Keras and computes in float32 as before.
Contract: arrays of two or more axes become float16; others (biases, batch statistics, whose small variances float16
would lose) stay as they are; values beyond float16's range are refused. A file is replaced as a whole.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from serving.durable_files import replacing
from trainer.errors import HeadMismatch

_WEIGHTS = "model.weights.h5"
_SHARED = re.compile(rb'("shared_object_id": )(\d+)')


def load_network(path: Path) -> Any:
    """Read a .keras file, a head or a backbone, without its optimiser and loss."""
    return keras.models.load_model(path, compile=False)


def check_head(path: Path, dimension: int) -> None:
    """Check that a head gives vectors of the words' dimension.

    Raises:
        HeadMismatch: it does not; the message says what to do.
    """
    width = load_network(path).output_shape[-1]
    if width != dimension:
        raise HeadMismatch(
            f"The head in {path} gives vectors of {width:,} numbers, and the words have {dimension:,} each, so it was "
            "trained for other words. Give the words that it was fitted with, or fit a head for these."
        )


def halve_weights(path: Path) -> None:
    """Rewrite a .keras file with float16 kernels.

    Raises:
        ValueError: a weight is beyond ±65,504 or not finite, so it has no float16.
    """
    _rewrite(path, lambda name, content: _halved(content) if name == _WEIGHTS else content)


def make_reproducible(path: Path) -> None:
    """Rewrite a .keras file without the parts that vary between writes: the same weights give the same file."""
    _rewrite(path, lambda name, content: content, zipfile.ZIP_STORED)


def _rewrite(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_DEFLATED) -> None:
    with (
        replacing(path) as written,
        zipfile.ZipFile(path) as source,
        zipfile.ZipFile(written, "w") as target,
    ):
        for entry in source.infolist():
            # Without the times of writing the same weights make the same file, and so the same bundle id.
            undated = zipfile.ZipInfo(entry.filename)
            undated.compress_type = compression
            target.writestr(
                undated, change(entry.filename, _without_dates_and_addresses(entry.filename, source.read(entry)))
            )


def _without_dates_and_addresses(name: str, content: bytes) -> bytes:
    """Drop the date, and number shared objects by appearance instead of by their addresses in memory."""
    if name == "metadata.json":
        return json.dumps({key: value for key, value in json.loads(content).items() if key != "date_saved"}).encode()
    if name == "config.json":
        numbers: dict[bytes, int] = {}
        return _SHARED.sub(lambda found: b"%s%d" % (found[1], numbers.setdefault(found[2], len(numbers))), content)
    return content


def _halved(content: bytes) -> bytes:
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as source, h5py.File(result, "w") as target:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                target.create_dataset(name, data=_half(name, values) if values.ndim > 1 else values)
            else:
                target.require_group(name)
            target[name].attrs.update(item.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)
    return result.getvalue()


def _half(name: str, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    if values.dtype != np.float32:
        return values
    if not np.all(np.abs(values) <= np.finfo(np.float16).max):
        raise ValueError(f"the weights {name} are beyond float16's range or not finite; keep the file in float32")
    return values.astype(np.float16)
