"""A Python package for tests that has the weights of a tiny network, as PyTorch wrote them, and a template for it.

Everything is made here, without PyTorch.
"""

from __future__ import annotations

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_KINDS = {"<f4": "FloatStorage", "<i8": "LongStorage"}


class Storage:
    """Stands for the values that a tensor is a view of."""

    def __init__(self, key: str, values: NDArray[Any]) -> None:
        self.key, self.values = key, values


class Tensor:
    """Pickles as a tensor of PyTorch does; strides and offset are in values."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.view = (storage, offset, shape, strides)

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (*self.view, False, OrderedDict())


def tensor(key: str, values: NDArray[Any]) -> Tensor:
    """Returns a tensor whose storage has the first axis last: its strides are not those of a contiguous array."""
    moved = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    strides = tuple(int(each) // values.itemsize for each in np.moveaxis(moved, -1, 0).strides)
    return Tensor(Storage(key, moved.ravel()), 0, values.shape, strides)


def write_parameters(file: Path, tensors: Mapping[str, Any]) -> None:
    """Writes what PyTorch wrote before 1.6."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    for kind in _KINDS.values():
        setattr(modules["torch"], kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    storages: dict[str, Storage] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, Storage):
                return None
            storages[thing.key] = thing
            kind = getattr(modules["torch"], _KINDS[thing.values.dtype.str])
            return ("storage", kind, thing.key, "cpu", thing.values.size, None)

    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        with file.open("wb") as into:
            for each in (_MAGIC, _VERSION, {"little_endian": True}):
                pickle.dump(each, into, protocol=2)
            Pickler(into, protocol=2).dump(OrderedDict(tensors))
            pickle.dump(sorted(storages), into, protocol=2)
            for key in sorted(storages):
                into.write(storages[key].values.size.to_bytes(8, "little") + storages[key].values.tobytes())
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
