"""Makes a .tflite backbone from a template that ships and the weights of an installed package.

A template is a compressed .tflite file whose weights and biases are all zero. The names of those tensors state what to
fill in: "<layer>:weight" and "<layer>:bias" of the package's file, or "<layer>|<norm>:…" if the batch normalisation
after the layer is folded into it. The template contains the scales of quantised tensors.

Contract: the same package gives the same bytes on every machine. So weights are computed only by element-wise float64
operations, which IEEE 754 defines to the bit. This module calibrates and builds nothing. It writes bytes in place.
"""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from model.errors import RecipeUnusable
from model.packaged.package_weights import Parameters, read_parameters

# ε of the batch normalisation of EfficientNet-Lite and its predecessors.
_EPSILON = 1e-3
# From PyTorch's order of a weight's axes to LiteRT's, by operation.
_AXES = {
    schema.BuiltinOperator.CONV_2D: (0, 2, 3, 1),
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: (1, 2, 3, 0),
    schema.BuiltinOperator.FULLY_CONNECTED: (0, 1),
}
_TYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.INT32: np.dtype("<i4"),
    schema.TensorType.INT8: np.dtype("<i1"),
}


def fill(template: Path, package_file: Path) -> bytes:
    """Return the template's .tflite file, filled with the parameters of a package's file.

    Raises:
        PackageFileWrong: the package's file cannot be read (see `package_weights`).
        RecipeUnusable: the template cannot be read, or names parameters that the package's file does not have.
    """
    parameters = read_parameters(package_file)
    try:
        content = bytearray(lzma.decompress(template.read_bytes()))
        model = schema.Model.GetRootAs(content, 0)
        graph = model.Subgraphs(0)
        for number in range(graph.OperatorsLength()):
            operator = graph.Operators(number)
            code = model.OperatorCodes(operator.OpcodeIndex())
            axes = _AXES.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
            for index in operator.InputsAsNumpy() if axes else ():
                tensor = graph.Tensors(index)
                layer, colon, part = tensor.Name().decode().rpartition(":")
                if colon:
                    weight, bias = folded(parameters, layer)
                    _write(model, tensor, weight.transpose(axes) if part == "weight" else bias)
    except KeyError as error:
        raise RecipeUnusable(
            f"{template.name} names {error.args[0]!r}, which {package_file.name} does not have: they belong to "
            "different networks. Get the recipe again."
        ) from error
    except RecipeUnusable:
        raise
    except Exception as error:  # invalid bytes can raise anything
        raise RecipeUnusable(f"{template.name} is not a network template: {error}. Get the recipe again.") from error
    return bytes(content)


def folded(parameters: Parameters, layer: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight and bias of "<layer>", or of "<layer>|<norm>" with the normalisation folded in, in PyTorch's order.

    Raises:
        KeyError: a parameter is missing.
    """
    layer, _, norm = layer.partition("|")
    weight = parameters[f"{layer}.weight"].astype(np.float64)
    if not norm:
        return weight, parameters[f"{layer}.bias"].astype(np.float64)
    gain, shift, mean, variance = (
        parameters[f"{norm}.{name}"].astype(np.float64) for name in ("weight", "bias", "running_mean", "running_var")
    )
    gain = gain / np.sqrt(variance + _EPSILON)
    return weight * gain.reshape(-1, *[1] * (weight.ndim - 1)), shift - mean * gain


def _write(model: Any, tensor: Any, values: NDArray[np.float64]) -> None:
    """Write a tensor's values in place, quantised if the tensor is: symmetrically, per tensor or per channel."""
    kind = _TYPES[tensor.Type()]
    if list(values.shape) != tensor.ShapeAsNumpy().tolist():
        raise RecipeUnusable(
            f"{tensor.Name().decode()!r} is {values.shape} in the package and {tensor.ShapeAsNumpy()} in the template: "
            "they belong to different networks. Get the recipe again."
        )
    if kind.kind == "i":
        quantisation = tensor.Quantization()
        along = np.ones(values.ndim, np.int64)
        along[quantisation.QuantizedDimension()] = -1
        scale = quantisation.ScaleAsNumpy().astype(np.float64)
        most = np.iinfo(kind).max
        values = np.clip(np.rint(values / (scale.reshape(along) if len(scale) > 1 else scale)), -most, most)
    written = values.astype(kind).reshape(-1).view(np.uint8)
    model.Buffers(tensor.Buffer()).DataAsNumpy()[:] = written
