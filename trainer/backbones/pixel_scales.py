"""Find the pixel scale of a .tflite network, from options or from the file's metadata.

Options override metadata. The scale is written into a bundle's manifest, so the embedder does not read the metadata.

The tables are those of metadata_schema.fbs (tensorflow/tflite-support); each is read by the number of its field, as no
package here has the code that is generated from the schema. A uint8 network takes pixels as they are: its metadata only
describes its training.
"""

from __future__ import annotations

from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table

from model.networks.pixel_scale import PixelScale
from trainer.errors import BackboneUnusable

_NAME = b"TFLITE_METADATA"
# ModelMetadata.subgraph_metadata, SubGraphMetadata.input_tensor_metadata, TensorMetadata.process_units
_SUBGRAPHS, _INPUTS, _UNITS = 3, 2, 4
# ProcessUnit.options_type, .options; the type NormalizationOptions, its .mean, .std
_TYPE, _OPTIONS, _NORMALISATION, _MEAN, _STD = 0, 1, 1, 0, 1


def pixel_scale_of(backbone: Path, mean: str = "", std: str = "") -> PixelScale | None:
    """Return the scale from the options, or else from the file; None if it is unknown or pixels go in as they are.

    Raises:
        BackboneUnusable: the options are not numbers, or only one of them is given.
    """
    if mean or std:
        try:
            return PixelScale(_numbers(mean), _numbers(std))
        except ValueError as error:
            raise BackboneUnusable(
                f"--pixel-mean {mean!r} and --pixel-std {std!r} are not a scale ({error}). Give both, each as one "
                "number or three between commas."
            ) from error
    if backbone.suffix != ".tflite" or not backbone.exists():
        return None

    return normalisation_in(backbone)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))


def normalisation_in(file: Path) -> PixelScale | None:
    """Return the scale of a file's float32 pixels; None if it takes others, or its metadata does not say."""
    try:
        content = file.read_bytes()
        model = schema.Model.GetRootAs(content, 0)
        graph = model.Subgraphs(0)
        if graph.Tensors(graph.Inputs(0)).Type() != schema.TensorType.FLOAT32:
            return None
        for number in range(model.MetadataLength()):
            if model.Metadata(number).Name() == _NAME:
                data = model.Buffers(model.Metadata(number).Buffer()).DataAsNumpy().tobytes()
                return _normalisation(data)
    except Exception:  # noqa: BLE001 - bytes that are no network raise anything; whoever opens it says so
        return None
    return None


def _normalisation(metadata: bytes) -> PixelScale | None:
    root = Table(metadata, flatbuffers.encode.Get(flatbuffers.packer.uoffset, metadata, 0))
    for graph in _tables(root, _SUBGRAPHS)[:1]:
        for tensor in _tables(graph, _INPUTS)[:1]:
            for unit in _tables(tensor, _UNITS):
                kind, options = _offset(unit, _TYPE), _offset(unit, _OPTIONS)
                if kind and options and unit.Get(number_types.Uint8Flags, unit.Pos + kind) == _NORMALISATION:
                    found = Table(metadata, unit.Indirect(unit.Pos + options))
                    return PixelScale(_floats(found, _MEAN), _floats(found, _STD))
    return None


def _offset(table: Table, field: int) -> int:
    """Return the offset of a field from the table; 0 if it is absent."""
    return int(table.Offset(4 + 2 * field))


def _tables(table: Table, field: int) -> list[Table]:
    offset = _offset(table, field)
    if not offset:
        return []
    start = table.Vector(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * place)) for place in range(table.VectorLen(offset))]


def _floats(table: Table, field: int) -> tuple[float, ...]:
    offset = _offset(table, field)
    start, length = table.Vector(offset), table.VectorLen(offset)
    return tuple(float(table.Get(number_types.Float32Flags, start + 4 * place)) for place in range(length))
