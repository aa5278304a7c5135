"""A Python package for tests with the weights of a tiny EfficientNet-Lite in PyTorch's format, made without PyTorch.

Also writes the recipe of a model that is made from it, which takes some seconds.
"""

from __future__ import annotations

import dataclasses
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model.bundle.reading import open_bundle
from model.bundle.recipe import FilledFile
from model.bundle.writing import BundleContent, write_bundle, write_recipe
from serving.durable_files import sha256
from trainer.backbones.backbone_template import make_template
from trainer.exporting.weights import write_tflite_head

PACKAGE, VERSION, PACKAGE_FILE = "tiny-weights", "1.0", "tiny_weights/weights.pth"
INPUT_SIZE, CLASSES, FEATURES = 32, 5, 6
STAGES = 4 + 5  # numbers of the means of its stages' maps
ROW = FEATURES + STAGES + CLASSES
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_KINDS = {"<f4": "FloatStorage", "<i8": "LongStorage"}


class Storage:
    """The values that a tensor is a view of."""

    def __init__(self, key: str, values: NDArray[Any]) -> None:
        self.key, self.values = key, values


class Tensor:
    """An object that pickles like a PyTorch tensor; strides and offset are in values."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.view = (storage, offset, shape, strides)

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (*self.view, False, OrderedDict())


def tensor(key: str, values: NDArray[Any]) -> Tensor:
    """Return a tensor that is not contiguous: its storage has the first axis last."""
    moved = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    strides = tuple(int(each) // values.itemsize for each in np.moveaxis(moved, -1, 0).strides)
    return Tensor(Storage(key, moved.ravel()), 0, values.shape, strides)


def write_parameters(file: Path, tensors: Mapping[str, Any]) -> None:
    """Write parameters in the format of PyTorch before 1.6."""
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


def parameters(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return the parameters of a network of three blocks; the last adds its input."""
    random = np.random.default_rng(seed)
    convolutions = {
        "_conv_stem|_bn0": (4, 3, 3, 3),
        "_blocks.0._depthwise_conv|_blocks.0._bn1": (4, 1, 3, 3),
        "_blocks.0._project_conv|_blocks.0._bn2": (4, 4, 1, 1),
        "_blocks.1._expand_conv|_blocks.1._bn0": (8, 4, 1, 1),
        "_blocks.1._depthwise_conv|_blocks.1._bn1": (8, 1, 5, 5),
        "_blocks.1._project_conv|_blocks.1._bn2": (5, 8, 1, 1),
        "_blocks.2._expand_conv|_blocks.2._bn0": (10, 5, 1, 1),
        "_blocks.2._depthwise_conv|_blocks.2._bn1": (10, 1, 3, 3),
        "_blocks.2._project_conv|_blocks.2._bn2": (5, 10, 1, 1),
        "_conv_head|_bn1": (FEATURES, 5, 1, 1),
    }
    found: dict[str, NDArray[np.float64]] = {}
    for name, shape in convolutions.items():
        layer, norm = name.split("|")
        found[f"{layer}.weight"] = random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        for part, least in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5), ("running_var", 0.5)):
            found[f"{norm}.{part}"] = random.uniform(least, least + 1, shape[0])
    found["_fc.weight"] = random.normal(size=(CLASSES, FEATURES))
    found["_fc.bias"] = random.normal(size=CLASSES)
    return {name: values.astype(np.float32) for name, values in found.items()}


def install_package(site: Path, *, version: str = VERSION, seed: int = 0) -> Path:
    """Install the package into a folder that the caller puts on `sys.path`; return its file of weights."""
    file = site / PACKAGE_FILE
    file.parent.mkdir(parents=True)
    write_parameters(file, {name: tensor(name, values) for name, values in parameters(seed).items()})
    metadata = site / f"tiny_weights-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version}\n")
    return file


def write_packaged_recipe(
    recipes: Path, package_file: Path, words_of: Path, *, name: str = "packaged", with_words: bool = False
) -> Path:
    """Write the recipe `recipes / name` of a model with the words of the bundle `words_of` and no .keras files.

    The recipe contains the words only if `with_words` is set.
    """
    folder = recipes.parent / f"made-{name}"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (8, INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8)
    template, backbone, head = folder / "backbone.template.xz", folder / "backbone.tflite", folder / "head.keras"
    backbone.write_bytes(make_template(package_file, pixels, template))
    words = open_bundle(words_of)
    keras.utils.set_random_seed(0)
    keras.Sequential([keras.Input((ROW,)), keras.layers.Dense(words.manifest.dimension)]).save(head)
    write_tflite_head(head, head.with_suffix(".tflite"))
    manifest = dataclasses.replace(
        words.manifest, display_name="Packaged", input_size=INPUT_SIZE, feature_dimension=ROW
    )
    content = BundleContent(backbone, head.with_suffix(".tflite"), words.words, pixels[:3])
    write_bundle(name, content, manifest, folder / "bundle")
    size = package_file.stat().st_size
    filled = FilledFile(backbone.name, template.name, PACKAGE, VERSION, PACKAGE_FILE, size, sha256(package_file))
    write_recipe(
        folder / "bundle",
        recipes / name,
        {},
        words_from="" if with_words else words.manifest.id,
        filled={template: filled},
    )
    return recipes / name
