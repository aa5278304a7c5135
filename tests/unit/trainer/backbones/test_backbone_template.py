"""A template and a package's weights make the network that the weights are of, and the template has none of them."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from model.errors import RecipeUnusable
from model.networks.tflite_backbone import TfliteBackbone
from model.packaged.filled_backbone import fill, folded
from model.packaged.package_weights import read_parameters
from tests.packaged_network import FEATURES, INPUT_SIZE, STAGES, install_package, parameters, tensor, write_parameters
from trainer.backbones.backbone_template import make_template
from trainer.backbones.efficientnet_lite import feature_map

PIXELS = np.random.default_rng(1).integers(0, 256, (8, INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8)


class Made(NamedTuple):
    package_file: Path
    template: Path
    backbone: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Converting takes seconds, and no test changes what it makes."""
    folder = tmp_path_factory.mktemp("template")
    package_file = install_package(folder / "site")
    backbone = folder / "backbone.tflite"
    backbone.write_bytes(make_template(package_file, PIXELS, folder / "backbone.template.xz"))
    return Made(package_file, folder / "backbone.template.xz", backbone)


def constants(content: bytes) -> dict[str, NDArray[np.uint8]]:
    model: Any = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    return {each.Name().decode(): model.Buffers(each.Buffer()).DataAsNumpy() for each in tensors if each.Buffer()}


def test_the_backbone_gives_features_and_then_logits(made: Made) -> None:
    row = TfliteBackbone(made.backbone, input_size=INPUT_SIZE)(PIXELS)
    features, logits = row[:, :FEATURES], row[:, FEATURES + STAGES :]
    weights = read_parameters(made.package_file)
    np.testing.assert_allclose(logits, features @ weights["_fc.weight"].T + weights["_fc.bias"], atol=1e-5)
    network = feature_map(weights, INPUT_SIZE)
    expected = [network((each[None].astype(np.float32) - 127) / 128).numpy().mean((1, 2))[0] for each in PIXELS]
    np.testing.assert_allclose(features, expected, atol=0.1)


def test_the_template_has_scales_and_names_but_no_weights(made: Made) -> None:
    named = {name: data for name, data in constants(lzma.decompress(made.template.read_bytes())).items() if ":" in name}
    assert {"_conv_stem|_bn0:weight", "_blocks.2._project_conv|_blocks.2._bn2:bias", "_fc:bias"} <= named.keys()
    filled = constants(made.backbone.read_bytes())
    for name, data in named.items():
        assert not data.any(), name
        assert filled[name].any(), name


def test_weights_are_the_folded_ones_within_half_a_step(made: Made) -> None:
    content = made.backbone.read_bytes()
    model: Any = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    weights = read_parameters(made.package_file)
    checked = 0
    for index in range(graph.TensorsLength()):
        layer, _, part = graph.Tensors(index).Name().decode().partition(":")
        if part == "weight" and "_expand_conv" in layer:
            scale = graph.Tensors(index).Quantization().ScaleAsNumpy()[:, None, None, None]
            stored = model.Buffers(graph.Tensors(index).Buffer()).DataAsNumpy().view(np.int8)
            expected = folded(weights, layer)[0].transpose(0, 2, 3, 1)
            assert (np.abs(stored.reshape(expected.shape) * scale - expected) <= scale / 2 + 1e-7).all()
            checked += 1
    assert checked == 2


def test_it_is_made_the_same_again_to_the_byte(made: Made, tmp_path: Path) -> None:
    again = make_template(made.package_file, PIXELS, tmp_path / "again.xz")
    assert (tmp_path / "again.xz").read_bytes() == made.template.read_bytes()
    assert again == fill(made.template, made.package_file) == made.backbone.read_bytes()


def test_buffers_lie_where_processors_want_them(made: Made) -> None:
    content = made.backbone.read_bytes()
    model: Any = schema.Model.GetRootAs(content, 0)
    tables = [model.Buffers(index)._tab for index in range(model.BuffersLength()) if model.Buffers(index).DataLength()]
    assert {table.Vector(table.Offset(4)) % 16 for table in tables} == {0}


def test_a_template_of_another_network_names_what_is_missing(made: Made, tmp_path: Path) -> None:
    fewer = {name: values for name, values in parameters().items() if not name.startswith("_blocks.2.")}
    write_parameters(tmp_path / "w.pth", {name: tensor(name, values) for name, values in fewer.items()})
    with pytest.raises(RecipeUnusable, match=r"'_blocks\.2\._expand_conv\.weight', which w\.pth does not have"):
        fill(made.template, tmp_path / "w.pth")


def test_a_parameter_of_another_shape_is_refused(made: Made, tmp_path: Path) -> None:
    other = parameters() | {"_fc.weight": np.zeros((7, FEATURES), np.float32)}
    write_parameters(tmp_path / "w.pth", {name: tensor(name, values) for name, values in other.items()})
    with pytest.raises(RecipeUnusable, match="_fc:weight"):
        fill(made.template, tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"no xz", lzma.compress(b"no network"), lzma.compress(bytes(64))])
def test_a_template_that_is_none_is_refused(made: Made, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.xz").write_bytes(content)
    with pytest.raises(RecipeUnusable, match=r"t\.xz"):
        fill(tmp_path / "t.xz", made.package_file)
