"""Reads the parameters of a network from a file in the format of PyTorch before 1.6, without PyTorch.

The file starts with five pickles: a magic number, the format version, facts about the machine, the parameters, and the
keys of their storages. Each storage follows: its number of values (int64), and the values, little-endian.

A pickle can call any function by name. Here only six names resolve, to stand-ins; a pickle that uses any other name is
rejected before its code runs, and so is one that would take more memory than the file has bytes.
"""

from __future__ import annotations

import io
import pickle
import pickletools
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

Parameters = Mapping[str, NDArray[Any]]

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
# Opcodes that reserve memory for what follows, or for a place in the memo, before they read anything.
_RESERVES = {"BYTEARRAY8"}
_PLACES = {"PUT", "BINPUT", "LONG_BINPUT"}
_MOST_PLACES = 2**20
# What may be used in several places. Tuples may not: each could hold another twice, and that a third twice; after 60,
# which are 300 bytes in a file, printing or hashing the first would never end.
_SHARED = {"GLOBAL", "STACK_GLOBAL", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "REDUCE"}
_USES = {"GET", "BINGET", "LONG_BINGET"}
_VALUES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


def read_parameters(file: Path) -> Parameters:
    """Return the parameters by name, for example "_conv_stem.weight", as contiguous arrays.

    Raises:
        PackageFileWrong: the file cannot be read, has another format, is truncated, or tries to run something.
    """
    try:
        content = io.BytesIO(file.read_bytes())
        magic, version, _, tensors, keys = (_load(content) for _ in range(5))
        if (magic, version) != (_MAGIC, _VERSION):
            raise PackageFileWrong(file.name, "it does not have the format of PyTorch before 1.6")  # noqa: TRY301
        storages = _storages(content, keys, {each.storage.key: each.storage for each in tensors.values()})
        return {name: _array(each, storages[each.storage.key]) for name, each in tensors.items()}
    except _Refused as error:
        raise PackageFileWrong(file.name, str(error)) from error
    except PackageFileWrong:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise PackageFileWrong(file.name, f"it is cut off or damaged ({error or type(error).__name__})") from error


class _Refused(Exception):
    """The file uses a forbidden name, or contradicts itself."""


@dataclass(frozen=True, eq=False, slots=True)
class _Storage:
    """Values that tensors are views of; `values` is their dtype. Its slots keep pickles from changing it."""

    key: str
    values: str
    count: int


@dataclass(frozen=True, eq=False, slots=True)
class _Tensor:
    """A view of a storage; offset and strides are in values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _load(content: io.BytesIO) -> Any:
    start = content.tell()
    memo: dict[int, str] = {}  # the opcode that made what is in each place
    made_by = ""
    for opcode, argument, _ in pickletools.genops(content):
        place = int(argument or 0) if opcode.name in _PLACES | _USES else len(memo)
        if opcode.name in _RESERVES or (opcode.name in _PLACES and place > _MOST_PLACES):
            raise _Refused("it asks for more memory than parameters need; nothing was run")
        if opcode.name == "DUP" or (opcode.name in _USES and memo.get(place) not in _SHARED):
            raise _Refused("it uses a value in several places, as no parameter file does; nothing was run")
        if opcode.name in _PLACES or opcode.name == "MEMOIZE":
            memo[place] = made_by
        else:
            made_by = opcode.name
    content.seek(start)
    return _Unpickler(content).load()


class _Unpickler(pickle.Unpickler):
    """Unpickles with six permitted names."""

    @override
    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _VALUES:
            return _VALUES[name]
        raise _Refused(f"it asks for {module}.{name}, which no parameter file needs; nothing was run")

    @override
    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a tensor names."""
        kind, values, key, _, count, view = pid
        known = kind == "storage" and values in _VALUES.values() and view is None
        if not (known and isinstance(key, str) and isinstance(count, int)):
            raise _Refused("it has a tensor in a storage of an unknown kind")
        return _Storage(key, values, count)


def _storages(
    content: io.BytesIO, keys: list[str], described: Mapping[str, _Storage]
) -> Mapping[str, NDArray[np.generic]]:
    """Read the storages, which must end the file."""
    found = {}
    for key in keys:
        storage = described[key]
        count = int.from_bytes(content.read(8), "little", signed=True)
        if count != storage.count:
            raise _Refused(f"it is cut off or damaged: a storage of {storage.count:,} values has {count:,}")
        found[key] = np.frombuffer(content.read(count * np.dtype(storage.values).itemsize), storage.values, count)
    if content.read(1):
        raise _Refused("it continues after its last value")
    return found


def _array(tensor: _Tensor, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a tensor as a contiguous array, whatever its strides are."""
    shape, strides = tensor.shape, tensor.strides
    last = tensor.offset + sum((edge - 1) * stride for edge, stride in zip(shape, strides, strict=True))
    if min((tensor.offset, *shape, *strides), default=0) < 0 or prod(shape) > len(values) or last >= len(values):
        raise _Refused(f"it has a tensor that extends beyond its storage: {shape} from {tensor.offset} by {strides}")
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :], shape, [stride * values.itemsize for stride in strides], writeable=False
    )
    return np.ascontiguousarray(view).reshape(shape)
