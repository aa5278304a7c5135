"""Backbones in .tflite files: the one module of the embedder that knows LiteRT.

Contract: uint8 (n, size, size, 3) RGB → float32 (n, d), quantised features as the numbers that they stand for. A file
takes pixels as they are, or float32 on a scale that is not in the file and has to be told. A call may come from any one
thread at a time.

The file takes one image at a time. The images of a batch run beside each other, each in an interpreter of its own
with one thread; an image that comes alone runs in one with several. EfficientNet-Lite2 (int8, 260 px), milliseconds
an image, the least of ten rounds on 2 busy cores: a batch of 32 beside each other 15.1, one after another in two
threads 17.3, in one thread 29.6; an image alone in two threads 15.4, in one 27.6. Each interpreter more takes 15 MB.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from model.networks.pixel_scale import PixelScale, PixelScaleMissing

__all__ = ["TfliteBackbone"]

# Threads within an image, and images beside each other: each is an interpreter with its own copy of the weights.
_AT_ONCE = max(1, min(os.cpu_count() or 1, 4))


class TfliteBackbone:
    """A network that gives features; `feature_layer` names the tensor that they are, "" the network's output."""

    def __init__(
        self, file: Path, *, input_size: int | None, feature_layer: str = "", pixel_scale: PixelScale | None = None
    ) -> None:
        """Read the file; an `input_size` of None takes what it says. `pixel_scale` is for one that takes float32.

        Raises:
            PixelScaleMissing: it takes float32, and no `pixel_scale` is given.
            OSError, ValueError, RuntimeError: LiteRT cannot read it, it does not take pixels of that size, or not uint8
                where no `pixel_scale` is given, or it has no such tensor.
        """
        content = _with_output(file.read_bytes(), feature_layer) if feature_layer else file.read_bytes()
        self._alone = _OneImage(content, _AT_ONCE, pixel_scale)
        taken = self._alone.taken
        self.input_size = input_size or int(taken["shape"][1])
        wanted = [1, self.input_size, self.input_size, 3]
        kind = np.float32 if pixel_scale else np.uint8
        if taken["dtype"] is not kind or taken["shape"].tolist() != wanted:
            missing = pixel_scale is None and taken["dtype"] is np.float32
            raise (PixelScaleMissing if missing else ValueError)(
                f"{file.name} takes {taken['dtype'].__name__} {taken['shape'].tolist()}, "
                f"not {kind.__name__} pixels {wanted}"
            )
        self.feature_dimension = int(np.prod(self._alone.given["shape"]))
        self._free: SimpleQueue[_OneImage] = SimpleQueue()
        for _ in range(_AT_ONCE):
            self._free.put(_OneImage(content, 1, pixel_scale))
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tflite")

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of a batch."""
        if len(pixels) == 1:
            return self._alone(pixels[0])[np.newaxis]
        features = np.empty((len(pixels), self.feature_dimension), np.float32)
        for place, found in enumerate(self._threads.map(self._beside_others, pixels)):
            features[place] = found
        return features

    def _beside_others(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        one = self._free.get()
        try:
            return one(image)
        finally:
            self._free.put(one)


class _OneImage:
    """An interpreter of the file: uint8 (size, size, 3) → float32 (d)."""

    def __init__(self, content: bytes, threads: int, pixel_scale: PixelScale | None) -> None:
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        [self.taken] = self._interpreter.get_input_details()
        self.given = self._interpreter.get_output_details()[0]
        self._scale_pixels = pixel_scale
        scale, self._zero_point = self.given["quantization"]
        self._scale = np.float32(scale or 1)  # 0 says that the tensor is not quantised

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        numbers = self._scale_pixels(image) if self._scale_pixels else image
        self._interpreter.set_tensor(self.taken["index"], numbers[np.newaxis])
        self._interpreter.invoke()
        found: NDArray[np.generic] = self._interpreter.get_tensor(self.given["index"]).ravel()
        return (found.astype(np.float32) - np.float32(self._zero_point)) * self._scale


def _with_output(content: bytes, tensor: str) -> bytes:
    """Return a model whose first output is one of its tensors.

    An inner tensor can be read after a run, but is only promised to be there if it is an output: its memory may serve
    a later one, or a delegate may leave it out.
    """
    changed = bytearray(content)
    graph = schema.Model.GetRootAs(changed, 0).Subgraphs(0)
    names = [graph.Tensors(index).Name() for index in range(graph.TensorsLength())]
    if tensor.encode() not in names:
        raise ValueError(f"it has no tensor {tensor!r}")
    graph.OutputsAsNumpy()[0] = names.index(tensor.encode())
    return bytes(changed)
