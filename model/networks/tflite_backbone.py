"""Backbones in .tflite files.

Contract: uint8 (n, size, size, 3) RGB → float32 (n, d); quantised features are dequantised. A network takes uint8
pixels, or float32 pixels on a scale that the file does not state and the caller must give. Calls may come from any
thread, one at a time.

The network takes one image at a time. The images of a batch run in parallel, each in its own single-threaded
interpreter; a single image runs in a multi-threaded one. EfficientNet-Lite2 (int8, 260 px), milliseconds per image,
best of ten rounds on 2 busy cores: a batch of 32 in parallel 15.1, in sequence with two threads 17.3, with one thread
29.6; a single image with two threads 15.4, with one 27.6. Each additional interpreter takes 15 MB.
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

# Threads for a single image, and images of a batch in parallel; each interpreter has its own copy of the weights.
_PARALLEL = max(1, min(os.cpu_count() or 1, 4))


class TfliteBackbone:
    """A network that gives features: the tensor named `feature_layer`, or the network's output if that is empty."""

    def __init__(
        self, file: Path, *, input_size: int | None, feature_layer: str = "", pixel_scale: PixelScale | None = None
    ) -> None:
        """Read the file. An `input_size` of None means the file's; `pixel_scale` is for a network of float32 pixels.

        Raises:
            PixelScaleMissing: the network takes float32, and no `pixel_scale` is given.
            OSError, ValueError, RuntimeError: LiteRT cannot read the file, the network does not take pixels of that
                size and type, or it has no such tensor.
        """
        content = _with_output(file.read_bytes(), feature_layer) if feature_layer else file.read_bytes()
        self._single = _ImageInterpreter(content, _PARALLEL, pixel_scale)
        input_details = self._single.input_details
        self.input_size = input_size or int(input_details["shape"][1])
        wanted = [1, self.input_size, self.input_size, 3]
        kind = np.float32 if pixel_scale else np.uint8
        if input_details["dtype"] is not kind or input_details["shape"].tolist() != wanted:
            missing = pixel_scale is None and input_details["dtype"] is np.float32
            raise (PixelScaleMissing if missing else ValueError)(
                f"{file.name} takes {input_details['dtype'].__name__} {input_details['shape'].tolist()}, "
                f"not {kind.__name__} pixels {wanted}"
            )
        self.feature_dimension = int(np.prod(self._single.output_details["shape"]))
        self._free: SimpleQueue[_ImageInterpreter] = SimpleQueue()
        for _ in range(_PARALLEL):
            self._free.put(_ImageInterpreter(content, 1, pixel_scale))
        self._threads = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="tflite")

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of a batch."""
        if len(pixels) == 1:
            return self._single(pixels[0])[np.newaxis]
        features = np.empty((len(pixels), self.feature_dimension), np.float32)
        for place, found in enumerate(self._threads.map(self._run_on_free, pixels)):
            features[place] = found
        return features

    def _run_on_free(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        one = self._free.get()
        try:
            return one(image)
        finally:
            self._free.put(one)


class _ImageInterpreter:
    """An interpreter of the network: uint8 (size, size, 3) → float32 (d)."""

    def __init__(self, content: bytes, threads: int, pixel_scale: PixelScale | None) -> None:
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        [self.input_details] = self._interpreter.get_input_details()
        self.output_details = self._interpreter.get_output_details()[0]
        self._scale_pixels = pixel_scale
        scale, self._zero_point = self.output_details["quantization"]
        self._scale = np.float32(scale or 1)  # 0 means that the tensor is not quantised

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        numbers = self._scale_pixels(image) if self._scale_pixels else image
        self._interpreter.set_tensor(self.input_details["index"], numbers[np.newaxis])
        self._interpreter.invoke()
        found: NDArray[np.generic] = self._interpreter.get_tensor(self.output_details["index"]).ravel()
        return (found.astype(np.float32) - np.float32(self._zero_point)) * self._scale


def _with_output(content: bytes, tensor: str) -> bytes:
    """Return a model whose first output is the named tensor.

    Only outputs are guaranteed to hold their values after a run: the memory of an inner tensor may be reused, or a
    delegate may not compute it.
    """
    changed = bytearray(content)
    graph = schema.Model.GetRootAs(changed, 0).Subgraphs(0)
    names = [graph.Tensors(index).Name() for index in range(graph.TensorsLength())]
    if tensor.encode() not in names:
        raise ValueError(f"it has no tensor {tensor!r}")
    graph.OutputsAsNumpy()[0] = names.index(tensor.encode())
    return bytes(changed)
