"""A network of keras.applications as a backbone: one graph from uint8 pixels to features, preprocessing inside.

Contract: the network maps uint8 (n, s, s, 3) RGB to float32 (n, d), with the same result as the application after its
own `preprocess_input`. It uses only Keras's own layers and operations, so its .keras file loads in safe mode without
custom objects. The same name, weights and seed give the same file, byte for byte.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
from keras import ops

from serving.durable_files import replacing
from trainer.backbones.applications import APPLICATIONS, Application, Preprocessing
from trainer.errors import BackboneUnusable, NotWritten
from trainer.keras_files import make_reproducible

IMAGENET, RANDOM = "imagenet", "random"
# ImageNet's means and deviations of 0…255, as keras.applications has them; BGR for caffe, RGB for torch.
_CAFFE_MEANS = (103.939, 116.779, 123.68)
_TORCH_MEANS, _TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_backbone(name: str, weights: str = IMAGENET, seed: int = 0, input_size: int | None = None) -> keras.Model:
    """Build the network with its weights.

    `weights`: "imagenet" (Keras downloads them, or has done so), "random", or a file as Keras offers it for download.
    `input_size`: edge of the pictures in pixels; by default, as it was trained.

    Raises:
        BackboneUnusable: the network or the weights do not exist; the message says what to do.
    """
    if name not in APPLICATIONS:
        raise BackboneUnusable(f"There is no backbone {name!r}. Choose one of {', '.join(APPLICATIONS)}.")
    application = APPLICATIONS[name]
    size = input_size or application.input_size
    if application.feature_layer and size != application.input_size:
        raise BackboneUnusable(
            f"The layer {application.feature_layer} of {name} takes pictures of {application.input_size} pixels, "
            f"not of {size}. Leave --input-size out."
        )
    keras.backend.clear_session()  # names of layers are numbered, and are part of the file
    keras.utils.set_random_seed(seed)
    try:
        network = _network(application, None if weights == RANDOM else weights, size)
    except Exception as error:  # Keras raises a bare one where a download fails
        raise _without_weights(name, application, weights, error) from error
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    return keras.Model(pixels, network(preprocessed(pixels, application.preprocessing)), name=name)


def save_backbone(network: keras.Model, path: Path) -> None:
    """Write the network as a .keras file, atomically.

    Raises:
        BackboneUnusable: the name has another ending.
        NotWritten: the disk is full or refuses.
    """
    if path.suffix != ".keras":
        raise BackboneUnusable(f"{path} should end with .keras, as the network is written in that format.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as written:
            network.save(written)
            make_reproducible(written)
    except (OSError, zipfile.BadZipFile) as error:
        raise NotWritten(f"{path} cannot be written ({error}). Make room, or name another file.") from error


def _network(application: Application, weights: str | None, size: int) -> keras.Model:
    function = getattr(keras.applications, application.function)
    if application.feature_layer:
        whole = function(weights=weights)
        return keras.Model(whole.inputs, whole.get_layer(application.feature_layer).output, name=whole.name)
    return function(weights=weights, include_top=False, pooling="avg", input_shape=(size, size, 3))


def preprocessed(pixels: Any, preprocessing: Preprocessing) -> Any:
    """Return what `preprocess_input` makes of pixels, float32."""
    numbers = ops.cast(pixels, "float32")
    if preprocessing == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(numbers)
    if preprocessing == "torch":
        scale = [1 / 255 / deviation for deviation in _TORCH_DEVIATIONS]
        offset = [-mean / deviation for mean, deviation in zip(_TORCH_MEANS, _TORCH_DEVIATIONS, strict=True)]
        return keras.layers.Rescaling(scale, offset=offset, name="preprocessing")(numbers)
    if preprocessing == "caffe":
        offset = [-mean for mean in _CAFFE_MEANS]
        return keras.layers.Rescaling(1.0, offset=offset, name="preprocessing")(ops.flip(numbers, axis=-1))
    return numbers


def _without_weights(name: str, application: Application, weights: str, error: Exception) -> BackboneUnusable:
    why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    top = "with its top layers" if application.feature_layer else "without its top layers (notop)"
    if weights == IMAGENET:
        return BackboneUnusable(
            f"The ImageNet weights of {name} could not be downloaded ({why}). Fetch that file on a machine that can, "
            "and name it: --weights FILE"
        )
    if weights == RANDOM:
        return BackboneUnusable(f"{name} cannot be built: {why}")
    return BackboneUnusable(
        f"The file {weights} has no weights of {name} ({why}). Give the file that Keras offers for "
        f"{application.function} {top}."
    )
