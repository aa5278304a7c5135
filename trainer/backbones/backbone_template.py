"""Make the template that `filled_backbone` turns into an int8 backbone on a machine with the weights' package.

1. TensorFlow's converter quantises the network, calibrated on pictures: uint8 pixels in, the last map out as float32.
2. The graph gets its end, in float32: the means over positions of the last map and of the last four stages' maps (the
   features), the classes' logits, and all in one row, in that order. A mean that stays quantised would round features
   to steps of 6/255.
3. Every weight and bias gets its own buffer of zeros, named after what belongs there. The other names are reproducible.
4. The template is filled once, and the result is compared with what the converter made.
"""

from __future__ import annotations

import lzma
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from model.packaged.filled_backbone import fill
from model.packaged.package_weights import Parameters, read_parameters
from trainer.backbones.efficientnet_lite import CLASSES, convolutions, feature_map
from trainer.errors import BackboneUnusable

PIXEL_MEAN, PIXEL_SCALE = 127, 128
# The number of stages whose last maps are features too. Earlier maps hold colours, textures and places that the classes
# do not need: docs/decisions/0017-the-photos-head.md has what they gain.
_STAGES = 4
_ALIGNMENT = 16  # of buffers, as LiteRT requires
_CONVOLUTIONS = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D}


def make_template(package_file: Path, calibration_pixels: NDArray[np.uint8], target: Path) -> bytes:
    """Write the template, and return the backbone that results from it and the package's file.

    `calibration_pixels`, uint8 (n, size, size, 3), are as they are served; their size is the network's.

    Raises:
        PackageFileWrong: the package's file cannot be read.
        BackboneUnusable: the converter produced an unexpected graph.
    """
    parameters = read_parameters(package_file)
    converted = _quantised(parameters, calibration_pixels)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(converted), 0))
    expected = _emptied(model, [each.layer for each in convolutions(parameters)])
    _add_end(model, parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(lzma.compress(_packed(model), preset=9 | lzma.PRESET_EXTREME))
    made = fill(target, package_file)
    _compare(made, expected)
    return made


def _quantised(parameters: Parameters, pixels: NDArray[np.uint8]) -> bytes:
    """Return TensorFlow's int8 conversion of the network, from uint8 pixels to the last map in float32."""
    pixels = pixels.copy()
    pixels[0].flat[:2] = 0, 255  # makes the input's range exactly 0…255, whatever the pictures are

    def calibration() -> Iterator[list[NDArray[np.float32]]]:
        for each in pixels:
            yield [(each[None].astype(np.float32) - PIXEL_MEAN) / PIXEL_SCALE]

    with tempfile.TemporaryDirectory() as saved, warnings.catch_warnings(action="ignore"):
        # What converts a Keras network itself prints every tensor of it. The warning is of pixels without statistics.
        feature_map(parameters, pixels.shape[1]).export(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converted: bytes = converter.convert()
    return converted


def _emptied(model: schema.ModelT, layers: list[str]) -> dict[str, NDArray[np.uint8]]:
    """Name the convolutions' weights and biases and set them to zero; return what they were."""
    graph = model.subgraphs[0]
    operators = [each for each in graph.operators if _kind(model, each) in _CONVOLUTIONS]
    if len(operators) != len(layers):
        raise BackboneUnusable(
            f"The converter made {len(operators)} convolutions from {len(layers)}: this version of TensorFlow converts "
            "differently. Use the one in requirements.lock."
        )
    were = {}
    for operator, layer in zip(operators, layers, strict=True):
        for index, part in zip(operator.inputs[1:], ("weight", "bias"), strict=True):
            tensor = graph.tensors[index]
            tensor.name = f"{layer}:{part}".encode()
            were[f"{layer}:{part}"] = model.buffers[tensor.buffer].data
            tensor.buffer = _add_zeros(model, len(were[f"{layer}:{part}"]))
    # Keras numbers layers through a whole process, and metadata names the converter: neither belongs to the network.
    for number, tensor in enumerate(graph.tensors):
        if tensor.name.decode() not in were:
            tensor.name = f"tensor{number}".encode()
    model.metadata = [each for each in model.metadata if each.name == b"min_runtime_version"]
    used = {each.buffer for each in (*graph.tensors, *model.metadata)}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None
    return were


def _add_end(model: schema.ModelT, parameters: Parameters) -> None:
    """Add means, classes and the row of all behind the last map."""
    graph = model.subgraphs[0]
    maps = _stage_maps(model, parameters)
    classes, features = parameters[f"{CLASSES}.weight"].shape
    axes = _add_tensor(model, "positions", (2,), np.array([1, 2], "<i4").view(np.uint8), schema.TensorType.INT32)
    weight, bias = (
        _add_tensor(model, f"{CLASSES}:{part}", shape, np.zeros(4 * int(np.prod(shape)), np.uint8))
        for part, shape in (("weight", (classes, features)), ("bias", (classes,)))
    )
    mean = _add_tensor(model, "features", (1, features))
    logits = _add_tensor(model, "logits", (1, classes))
    kinds = schema.BuiltinOperator
    options = schema.BuiltinOptions
    _add_operator(model, kinds.MEAN, [graph.outputs[0], axes], mean, options.ReducerOptions, schema.ReducerOptionsT())
    fully = schema.FullyConnectedOptionsT()
    _add_operator(model, kinds.FULLY_CONNECTED, [mean, weight, bias], logits, options.FullyConnectedOptions, fully)
    stages = [_add_stage_mean(model, number, axes) for number in maps]
    parts = [mean, *stages, logits]
    width = sum(int(graph.tensors[part].shape[1]) for part in parts)
    row = _add_tensor(model, "features_and_logits", (1, width))
    beside = schema.ConcatenationOptionsT()
    beside.axis = 1
    _add_operator(model, kinds.CONCATENATION, parts, row, options.ConcatenationOptions, beside)
    graph.outputs = np.array([row], np.int32)
    model.signatureDefs = []  # it names the map as the network's output


def _stage_maps(model: schema.ModelT, parameters: Parameters) -> list[int]:
    """Return the tensors that are the last maps of the last stages."""
    graph = model.subgraphs[0]
    takers = {f"{each.layer}:weight".encode() for each in convolutions(parameters) if each.takes_stage}
    operators = [each for each in graph.operators if _kind(model, each) in _CONVOLUTIONS]
    return [int(each.inputs[0]) for each in operators if graph.tensors[each.inputs[1]].name in takers][-_STAGES:]


def _add_stage_mean(model: schema.ModelT, quantised: int, axes: int) -> int:
    """Add the mean over the positions of a quantised map, and return its tensor."""
    kinds, options = schema.BuiltinOperator, schema.BuiltinOptions
    shape = tuple(int(edge) for edge in model.subgraphs[0].tensors[quantised].shape)
    numbers = _add_tensor(model, f"map{quantised}", shape)
    mean = _add_tensor(model, f"mean{quantised}", (1, shape[-1]))
    _add_operator(model, kinds.DEQUANTIZE, [quantised], numbers, options.DequantizeOptions, schema.DequantizeOptionsT())
    _add_operator(model, kinds.MEAN, [numbers, axes], mean, options.ReducerOptions, schema.ReducerOptionsT())
    return mean


def _add_operator(
    model: schema.ModelT, kind: int, inputs: list[int], output: int, options_type: int, options: object
) -> None:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 2 if kind == schema.BuiltinOperator.DEQUANTIZE else 1  # the second takes int8
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
    operator.builtinOptionsType, operator.builtinOptions = options_type, options
    model.subgraphs[0].operators.append(operator)


def _add_tensor(
    model: schema.ModelT,
    name: str,
    shape: tuple[int, ...],
    data: NDArray[np.uint8] | None = None,
    kind: int = schema.TensorType.FLOAT32,
) -> int:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), np.array(shape, np.int32), kind
    tensor.buffer = 0  # the first is empty, by the format
    if data is not None:
        tensor.buffer = _add_zeros(model, len(data))
        model.buffers[tensor.buffer].data = data
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _add_zeros(model: schema.ModelT, size: int) -> int:
    buffer = schema.BufferT()
    buffer.data = np.zeros(size, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _kind(model: schema.ModelT, operator: schema.OperatorT) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns bytes as the schema asks for, which the generated Python code leaves out."""

    def StartVector(self, element_size: int, count: int, alignment: int) -> int:  # noqa: N802 - the library's name
        """Begin a vector."""
        start: int = super().StartVector(element_size, count, _ALIGNMENT if element_size == 1 else alignment)
        return start


def _packed(model: schema.ModelT) -> bytes:
    builder = _AlignedBuilder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _compare(made: bytes, expected: dict[str, NDArray[np.uint8]]) -> None:
    """Check that the weights differ from the converter's own by no more than rounding.

    Raises:
        BackboneUnusable: they differ by more.
    """
    model = schema.Model.GetRootAs(made, 0)
    graph = model.Subgraphs(0)
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        name = tensor.Name().decode()
        if name in expected:
            kind = np.int8 if tensor.Type() == schema.TensorType.INT8 else np.int32
            ours, theirs = (
                np.frombuffer(data.tobytes(), kind).astype(np.float64)
                for data in (model.Buffers(tensor.Buffer()).DataAsNumpy(), expected[name])
            )
            apart = np.abs(ours - theirs).max()
            allowed = 1 if kind is np.int8 else 1 + 1e-6 * np.abs(theirs).max()
            if apart > allowed:
                raise BackboneUnusable(
                    f"{name} as it is filled is up to {apart:.0f} steps from what the converter made: the network's "
                    "layers are in another order than is known here."
                )
