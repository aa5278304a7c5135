"""The networks of keras.applications that can serve as a backbone: their feature layer and their pixel scale.

Contract: names are as people write them; everything here is plain data, so that listing it does not need Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Preprocessing = Literal["caffe", "tf", "torch", "own"]
"""The names of keras.applications. caffe: BGR minus ImageNet's means; tf: -1…1; torch: 0…1 minus ImageNet's means,
divided by its deviations; own: the network has layers for it and takes 0…255."""


@dataclass(frozen=True)
class Application:
    """`module` and `function` of keras.applications; `input_size` in pixels, as it was trained.

    `feature_layer`: the layer of the whole classifier that gives the features, which fixes the input's size; "" is the
    mean over the last map.
    """

    module: str
    function: str
    preprocessing: Preprocessing
    input_size: int = 224
    feature_layer: str = ""


APPLICATIONS: Mapping[str, Application] = {
    "vgg16": Application("vgg16", "VGG16", "caffe", feature_layer="fc2"),
    "vgg19": Application("vgg19", "VGG19", "caffe", feature_layer="fc2"),
    "resnet50": Application("resnet", "ResNet50", "caffe"),
    "resnet101": Application("resnet", "ResNet101", "caffe"),
    "resnet152": Application("resnet", "ResNet152", "caffe"),
    "resnet50v2": Application("resnet_v2", "ResNet50V2", "tf"),
    "resnet101v2": Application("resnet_v2", "ResNet101V2", "tf"),
    "resnet152v2": Application("resnet_v2", "ResNet152V2", "tf"),
    "inceptionv3": Application("inception_v3", "InceptionV3", "tf", 299),
    "inceptionresnetv2": Application("inception_resnet_v2", "InceptionResNetV2", "tf", 299),
    "xception": Application("xception", "Xception", "tf", 299),
    "densenet121": Application("densenet", "DenseNet121", "torch"),
    "densenet169": Application("densenet", "DenseNet169", "torch"),
    "densenet201": Application("densenet", "DenseNet201", "torch"),
    "mobilenet": Application("mobilenet", "MobileNet", "tf"),
    "mobilenetv2": Application("mobilenet_v2", "MobileNetV2", "tf"),
    "mobilenetv3-small": Application("mobilenet_v3", "MobileNetV3Small", "own"),
    "mobilenetv3-large": Application("mobilenet_v3", "MobileNetV3Large", "own"),
    "efficientnetv2-b0": Application("efficientnet_v2", "EfficientNetV2B0", "own"),
    "efficientnetv2-b1": Application("efficientnet_v2", "EfficientNetV2B1", "own", 240),
    "efficientnetv2-b2": Application("efficientnet_v2", "EfficientNetV2B2", "own", 260),
    "efficientnetv2-b3": Application("efficientnet_v2", "EfficientNetV2B3", "own", 300),
    "efficientnetv2-s": Application("efficientnet_v2", "EfficientNetV2S", "own", 384),
    "efficientnetv2-m": Application("efficientnet_v2", "EfficientNetV2M", "own", 480),
    "efficientnetv2-l": Application("efficientnet_v2", "EfficientNetV2L", "own", 480),
    "convnext-tiny": Application("convnext", "ConvNeXtTiny", "own"),
    "convnext-small": Application("convnext", "ConvNeXtSmall", "own"),
    "convnext-base": Application("convnext", "ConvNeXtBase", "own"),
    "convnext-large": Application("convnext", "ConvNeXtLarge", "own"),
    "convnext-xlarge": Application("convnext", "ConvNeXtXLarge", "own"),
}
