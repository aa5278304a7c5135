"""Settings of the embedder service; `python -m embedder_service.settings` prints them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from serving.settings import ServiceSettings

DEFAULT_MODEL = "photos"
# Room in a message for what is sent with an image: id and attributes, or the words and the filter of a search.
_BESIDE_AN_IMAGE = 2**20


class EmbedderSettings(ServiceSettings):
    """The settings of the embedder."""

    service: ClassVar[str] = "embedder"
    live: ClassVar[frozenset[str]] = ServiceSettings.live | {"max_queued_bytes"}

    port: int = Field(50052, ge=0, le=65535, description="gRPC port; 0 takes a free one.")
    metrics_port: int = Field(9052, ge=-1, le=65535, description="Prometheus port; 0 takes a free one, -1 is off.")
    default_model: str = Field(
        DEFAULT_MODEL,
        min_length=1,
        description="Model that serves if none was activated: `tiny`, which ships, the name of a recipe, or the path "
        "of a bundle's folder (with a slash).",
    )
    recipes: Path = Field(Path("starter/recipes"), description="Folder of the recipes for models that do not ship.")
    model_mirror: str = Field(
        "",
        description="Folder or URL that has the files of recipes by name; empty means the URLs in the recipes.",
    )
    max_image_bytes: int = Field(
        32 * 2**20,
        ge=1,
        validate_default=True,  # `max_message_bytes` may have been set alone
        description="Bytes an image may have; at most 1 MiB less than `max_message_bytes`.",
    )
    max_image_pixels: int = Field(100_000_000, ge=1, description="Pixels an image may have.")
    max_image_scans: int = Field(
        100, ge=1, description="Scans a progressive JPEG may have; each covers the whole picture."
    )
    max_decoding_pixels: int = Field(
        150_000_000,
        ge=1,
        description="Pixels that are decoded at the same time, over all calls; a larger image is decoded alone.",
    )
    max_queued_images: int = Field(
        1_024, ge=256, le=2**31 - 1, description="Images that may be between arrival and vector; more are refused."
    )
    max_queued_bytes: int = Field(
        512 * 2**20,
        ge=1,
        description="Bytes of images that may be between arrival and answer, for all models; more are refused, or wait "
        "if they come in a stream.",
    )
    max_batch_images: int = Field(32, ge=1, le=256, description="Images in a batch of the model.")
    decoders: int = Field(
        2,
        ge=1,
        le=256,
        description="Processes that decode images; each takes one image at a time, and 80 MB until it has a large one.",
    )
    max_decoding_seconds: int = Field(
        60, ge=1, le=3_600, description="Seconds of processor time that decoding an image may take."
    )
    max_decoding_bytes: int = Field(
        3 * 2**30, ge=256 * 2**20, description="Bytes of memory that a process may use to decode an image."
    )
    call_threads: int = Field(4, ge=1, le=256, description="Calls about words that are processed at the same time.")

    @field_validator("max_image_bytes")
    @classmethod
    def _fits_a_message(cls, size: int, info: ValidationInfo) -> int:
        message = info.data.get("max_message_bytes")
        if message is not None and size > message - _BESIDE_AN_IMAGE:
            raise PydanticCustomError(
                "image_larger_than_message",
                "an image of that size does not fit into a message: lower the limit to {most}, or raise {variable} of "
                "all services from {message} to {enough}",
                {
                    "most": message - _BESIDE_AN_IMAGE,
                    "variable": cls.variable("max_message_bytes"),
                    "message": message,
                    "enough": size + _BESIDE_AN_IMAGE,
                },
            )
        return size


if __name__ == "__main__":
    from serving.setting_files import print_settings

    print_settings(EmbedderSettings)
