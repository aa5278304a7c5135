"""Reads the parameters of a network from a file as PyTorch wrote it before 1.6, without PyTorch.

The file is five pickles: a magic number, the format's version, facts about the machine, the parameters, and the keys of
their storages. After them comes each storage: how many values it has (int64), and the values, little-endian.

A pickle may name any function to be called. Here it gets six names, and stand-ins for them at that: what names
another is refused before anything of it runs.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from model.errors import PackageFileWrong

__all__ = ["Parameters", "read_parameters"]

Parameters = Mapping[str, NDArray[Any]]

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_VALUES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


def read_parameters(file: Path) -> Parameters:
    """Return the parameters by name, for example "_conv_stem.weight", as arrays that are contiguous.

    Raises:
        PackageFileWrong: the file cannot be read, is no such file, is cut off, or asks for something to be run.
    """
    try:
        content = io.BytesIO(file.read_bytes())
        magic, version, _, tensors, keys = (_Unpickler(content).load() for _ in range(5))
        if (magic, version) != (_MAGIC, _VERSION):
            raise PackageFileWrong(file.name, "it is not of the format that PyTorch wrote before 1.6")  # noqa: TRY301
        storages = _storages(content, keys, {each.storage.key: each.storage for each in tensors.values()})
        return {name: _array(each, storages[each.storage.key]) for name, each in tensors.items()}
    except _Refused as error:
        raise PackageFileWrong(file.name, str(error)) from error
    except PackageFileWrong:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise PackageFileWrong(file.name, f"it is cut off or damaged ({error or type(error).__name__})") from error


class _Refused(Exception):
    """The file asks for what is not given, or says what cannot be."""


@dataclass(frozen=True)
class _Storage:
    """Values that tensors are views of."""

    key: str
    values: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage: where it starts, and how far apart its elements are, in values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Gives six names, and no others."""

    @override
    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _VALUES:
            return _VALUES[name]
        raise _Refused(f"it asks for {module}.{name}, which no file of parameters needs; nothing of it was run")

    @override
    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a tensor names."""
        kind, values, key, _, count, view = pid
        if kind != "storage" or view is not None:
            raise _Refused(f"it has a tensor that lies in {kind!r} {key!r}, which is not known here")
        return _Storage(key, values, count)


def _storages(
    content: io.BytesIO, keys: list[str], described: Mapping[str, _Storage]
) -> Mapping[str, NDArray[np.generic]]:
    """Read the storages, which must be all that is left of the file."""
    found = {}
    for key in keys:
        storage = described[key]
        count = int.from_bytes(content.read(8), "little", signed=True)
        if count != storage.count:
            raise _Refused(f"it is cut off or damaged: a storage of {storage.count:,} values has {count:,}")
        found[key] = np.frombuffer(content.read(count * np.dtype(storage.values).itemsize), storage.values, count)
    if content.read(1):
        raise _Refused("it goes on behind its last value")
    return found


def _array(tensor: _Tensor, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a tensor as an array that is contiguous, whatever its strides are."""
    shape, strides = tensor.shape, tensor.strides
    last = tensor.offset + sum((edge - 1) * stride for edge, stride in zip(shape, strides, strict=True))
    if min((tensor.offset, *shape, *strides), default=0) < 0 or prod(shape) > len(values) or last >= len(values):
        raise _Refused(
            f"it has a tensor that reaches outside of its storage: {shape} from {tensor.offset} by {strides}"
        )
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :], shape, [stride * values.itemsize for stride in strides], writeable=False
    )
    return np.ascontiguousarray(view).reshape(shape)
