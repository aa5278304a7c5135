"""Which layers of a backbone are its last blocks."""

from __future__ import annotations

import keras
import pytest

from trainer.errors import BackboneUnusable
from trainer.fine_tuning.training import leaves, train_from, where_last_blocks_begin

# The ends of keras.applications, without irrelevant layers; `|` marks where the last block begins.
ENDS = {
    "VGG": "block4_conv3 block4_pool | block5_conv1 block5_pool flatten fc1 fc2",
    "ResNet": "conv4_block6_out conv5_block2_add conv5_block2_out | conv5_block3_1_conv conv5_block3_out avg_pool",
    "ResNetV2": "conv5_block2_out | conv5_block3_preact_bn conv5_block3_out post_bn post_relu avg_pool",
    "Inception": "mixed_5b mixed0 mixed8 conv2d_76 mixed9_0 mixed9 | conv2d_85 mixed9_1 concatenate_1 mixed10",
    "InceptionResNet": "block8_9_mixed block8_9_ac | conv2d_200 block8_10_mixed block8_10_conv conv_7b",
    "Xception": "block13_sepconv1 conv2d_3 block13_pool | add_11 block14_sepconv1 block14_sepconv2_act",
    "DenseNet": "conv5_block15_concat | conv5_block16_0_bn conv5_block16_concat bn relu",
    "MobileNet": "conv_dw_12 conv_pw_12 conv_pw_12_relu | conv_dw_13 conv_pw_13 conv_pw_13_relu",
    "MobileNet of two": "conv_pw_11_relu | conv_pad_12 conv_dw_12 conv_pw_12",
    "MobileNetV2": "block_15_add | block_16_expand block_16_project_BN Conv_1 out_relu",
    "MobileNetV3": "expanded_conv_9_add | expanded_conv_10_expand activation_15 expanded_conv_10_add conv_1",
    "EfficientNetV2": "block6g_se_excite block6g_add | block6h_expand_conv block6h_drop block6h_add top_conv",
    "ConvNeXt": "c_stage_2_block_8_gelu c_downsampling_block_2 c_stage_3_block_1_identity | c_stage_3_block_2_gelu",
}


@pytest.mark.parametrize("family", ENDS)
def test_the_last_block_begins_behind_the_one_before_it(family: str) -> None:
    before, last = (part.split() for part in ENDS[family].split("|"))
    assert where_last_blocks_begin([*before, *last], 1) == len(before)


def test_more_blocks_begin_earlier_and_not_all_are_the_last() -> None:
    names = ["input", "block1_conv", "block1_pool", "block2_conv", "block3_conv", "pool"]
    assert [where_last_blocks_begin(names, count) for count in (1, 2)] == [4, 3]
    with pytest.raises(BackboneUnusable, match=r"3 blocks only.* --from-layer"):
        where_last_blocks_begin(names, 3)
    with pytest.raises(BackboneUnusable, match=r"no blocks.* --from-layer"):
        where_last_blocks_begin(["conv2d", "conv2d_1"], 1)


@pytest.fixture
def network() -> keras.Model:
    """Two blocks in a network inside a network, as backbones are."""
    inner = x = keras.Input((4, 4, 3))
    for block in ("block1", "block2"):
        x = keras.layers.Conv2D(2, 1, name=f"{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{block}_bn")(x)
    network = keras.Model(inner, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="network")
    pixels = keras.Input((4, 4, 3), dtype="uint8")
    return keras.Model(pixels, network(keras.layers.Rescaling(1 / 255)(pixels)))


def test_batch_normalisation_is_never_trained(network: keras.Model) -> None:
    assert train_from(network) == ("block2_conv",)
    assert train_from(network, "block1_bn") == ("block2_conv",)
    assert train_from(network, "block1_conv") == ("block1_conv", "block2_conv")
    assert [each.trainable for each in leaves(network) if each.name.endswith("bn")] == [False, False]


def test_a_missing_or_untrainable_layer_is_refused(network: keras.Model) -> None:
    with pytest.raises(BackboneUnusable, match=r"no layer 'fc9'.*block2_conv.*pool"):
        train_from(network, "fc9")
    with pytest.raises(BackboneUnusable, match="earlier layer"):
        train_from(network, "pool")
