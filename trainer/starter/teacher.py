"""What a network trained on ImageNet makes of the starter's training pictures, computed once and kept.

Contract: a row is the 1,001 logits of MobileNetV2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381) as its int8
TFLite file has them before its softmax, dequantised, in steps of 0.1; column 0 is "background". Rows are keyed by the SHA-256 of a picture's pixels, so
neither the order of the pictures nor an interruption matters, and a picture that occurs twice is computed once. All
columns are kept, also those of classes that the starter does not have.

Measured on one core: 17 ms a picture at 224 pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from trainer.errors import BackboneUnusable
from trainer.feature_cache import CacheSpec, FeatureCache

__all__ = ["TEACHER_FILE", "columns_of", "teach"]

TEACHER_FILE = "mobilenet_v2_1.0_224_quant.tflite"
_LABELS_FILE = "imagenet_labels.txt"
_LOGITS = "MobilenetV2/Logits/Squeeze1"  # the file's own output is their softmax, in steps of 1/256: nothing of the rare
_BLOCK = 256  # pictures that an interruption may cost
Pixels = NDArray[np.uint8]


def teach(
    teacher: Path, pixels: Pixels, cache: Path, threads: int = 2, on_block: Callable[[int], None] = lambda done: None
) -> NDArray[np.float16]:
    """Returns the teacher's logits for pictures (n, edge, edge, 3) of any edge: (n, 1001) float16.

    ``teacher`` is the folder with the network and its labels. What ``cache`` holds already is not computed again;
    ``on_block`` hears how many pictures are done.

    Raises:
        BackboneUnusable: the folder has no such network.
        CacheMismatch: the cache was made by another network.
        CacheInUse: another process is filling the cache.
    """
    path = teacher / TEACHER_FILE
    if not path.exists():
        raise BackboneUnusable(f"There is no {path}. Put the int8 MobileNetV2 for 224 pixels there.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    keys = [hashlib.sha256(picture.tobytes()).digest() for picture in pixels]
    network = _Network(path, threads)
    spec = CacheSpec(f"{TEACHER_FILE}@sha256:{digest[:12]}", ("plain",), network.outputs)
    with FeatureCache(cache, spec) as rows:
        missing = list({key: place for place, key in enumerate(keys) if key not in rows}.values())
        for start in range(0, len(missing), _BLOCK):
            block = missing[start : start + _BLOCK]
            logits = np.stack([network(pixels[place]) for place in block])
            rows.append([keys[place] for place in block], logits[:, np.newaxis])
            on_block(len(rows))
        logits_by_row: NDArray[np.float16] = np.asarray(rows.memory_map()[rows.rows_of(keys), 0], np.float16)
    return logits_by_row


def columns_of(teacher: Path, words: Mapping[str, str], names: Sequence[str]) -> NDArray[np.int64]:
    """Returns the teacher's column of each class, (classes,) int64, and −1 for a class that the teacher does not know.

    ``words`` tells what a class is called ("goldfish, Carassius auratus"); the teacher's labels are spelt alike.
    Where several of its classes are called the same (crane, maillot) the class is left out, being ambiguous.
    """
    labels = (teacher / _LABELS_FILE).read_text(encoding="utf-8").splitlines()
    column = {label: place for place, label in enumerate(labels) if labels.count(label) == 1}
    return np.array([column.get(words.get(name, ""), -1) for name in names], dtype=np.int64)


class _Network:
    """The TFLite network, one picture at a time: a batch is no faster in int8 on a CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        # All tensors are kept to read the logits, which are not an output; that costs no time.
        self._interpreter: Any = tf.lite.Interpreter(
            str(path), num_threads=threads, experimental_preserve_all_tensors=True
        )
        self._interpreter.allocate_tensors()
        self._input: Mapping[str, Any] = self._interpreter.get_input_details()[0]
        logits = [each for each in self._interpreter.get_tensor_details() if each["name"] == _LOGITS]
        if not logits:
            raise BackboneUnusable(f"{path} is not the MobileNetV2 expected: it has no tensor {_LOGITS}.")
        self._logits: Mapping[str, Any] = logits[0]
        self._edge = int(self._input["shape"][1])
        self.outputs = int(self._logits["shape"][-1])

    def __call__(self, picture: Pixels) -> NDArray[np.float32]:
        image = Image.fromarray(picture).resize((self._edge, self._edge), Image.Resampling.BICUBIC)
        self._interpreter.set_tensor(self._input["index"], np.asarray(image)[np.newaxis])
        self._interpreter.invoke()
        scale, zero = self._logits["quantization"]
        quantised = self._interpreter.get_tensor(self._logits["index"])[0].astype(np.float32)
        logits: NDArray[np.float32] = (quantised - zero) * np.float32(scale)
        return logits
