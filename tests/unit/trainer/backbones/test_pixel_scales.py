"""The scale of a .tflite file's pixels comes from options, or else from the file's own metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from model.networks.pixel_scale import PixelScale
from tests.needs import SHARED_DATA, need
from trainer.backbones.pixel_scales import pixel_scale_of

MOBILENET = SHARED_DATA / "mobilenet_v2" / "mobilenet_v2_1.0_224_quant.tflite"


def table(builder: flatbuffers.Builder, fields: dict[int, int]) -> int:
    builder.StartObject(8)
    for number, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(number, offset, 0)
    return int(builder.EndObject())


def vector(builder: flatbuffers.Builder, items: Sequence[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for each in reversed(items):
        builder.PrependUOffsetTRelative(each)
    return int(builder.EndVector())


def floats(builder: flatbuffers.Builder, numbers: Sequence[float]) -> int:
    builder.StartVector(4, len(numbers), 4)
    for each in reversed(numbers):
        builder.PrependFloat32(each)
    return int(builder.EndVector())


def metadata(mean: Sequence[float], std: Sequence[float]) -> bytes:
    """ModelMetadata with a NormalizationOptions of the first input, as metadata_schema.fbs has it."""
    builder = flatbuffers.Builder()
    options = table(builder, {0: floats(builder, mean), 1: floats(builder, std)})
    builder.StartObject(2)
    builder.PrependUint8Slot(0, 1, 0)
    builder.PrependUOffsetTRelativeSlot(1, options, 0)
    units = vector(builder, [builder.EndObject()])
    name = builder.CreateString("pixels")
    inputs = vector(builder, [table(builder, {0: name, 4: units})])
    graphs = vector(builder, [table(builder, {2: inputs})])
    builder.Finish(table(builder, {3: graphs}), b"M001")
    return bytes(builder.Output())


def network(path: Path, kind: int, content: bytes = b"") -> Path:
    """A .tflite file of one input and no operation, with metadata."""
    tensor, graph, model = schema.TensorT(), schema.SubGraphT(), schema.ModelT()
    tensor.name, tensor.shape, tensor.type = "pixels", [1, 8, 8, 3], kind
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model.version, model.subgraphs, model.operatorCodes, model.metadata = 3, [graph], [], []
    model.buffers = [schema.BufferT(), schema.BufferT()]
    if content:
        entry = schema.MetadataT()
        entry.name, entry.buffer = "TFLITE_METADATA", 1
        model.buffers[1].data = list(content)
        model.metadata = [entry]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


@pytest.mark.parametrize(("mean", "std"), [((127.5,), (127.5,)), ((123.5, 116.75, 104.0), (58.0, 57.0, 57.5))])
def test_metadata_gives_a_float_networks_scale_and_options_win(
    tmp_path: Path, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    file = network(tmp_path / "net.tflite", schema.TensorType.FLOAT32, metadata(mean, std))
    assert pixel_scale_of(file) == PixelScale(mean, std)
    assert pixel_scale_of(file, "0", "255") == PixelScale((0,), (255,))


def test_a_network_that_takes_bytes_or_says_nothing_has_no_scale(tmp_path: Path) -> None:
    said = metadata((127.5,), (127.5,))
    assert pixel_scale_of(network(tmp_path / "bytes.tflite", schema.TensorType.UINT8, said)) is None
    assert pixel_scale_of(network(tmp_path / "floats.tflite", schema.TensorType.FLOAT32)) is None
    assert pixel_scale_of(network(tmp_path / "bad.tflite", schema.TensorType.FLOAT32, b"rubbish")) is None
    (tmp_path / "rubbish.tflite").write_bytes(b"rubbish")
    assert pixel_scale_of(tmp_path / "rubbish.tflite") is None
    assert pixel_scale_of(tmp_path / "absent.tflite") is None


def test_mobilenet_as_it_is_published_has_no_scale() -> None:
    need(MOBILENET.exists(), f"There is no {MOBILENET}.")
    assert pixel_scale_of(MOBILENET) is None
