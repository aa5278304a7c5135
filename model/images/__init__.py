"""Images → squares of pixels: the only implementation of decoding and resizing, for serving and training."""

from model.images.decoding import CropBox, DecodedImage, OpenedImage, Resize
from model.images.metadata import PhotoMetadata
from model.images.opening import ImageLimits, decode, open_image

__all__ = [
    "CropBox",
    "DecodedImage",
    "ImageLimits",
    "OpenedImage",
    "PhotoMetadata",
    "Resize",
    "decode",
    "open_image",
]
