"""The limits of a decoder process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from model.images import ImageLimits


@dataclass(frozen=True)
class DecoderLimits:
    """The limits for one image: its own, and processor seconds and memory that its decoding may take.

    `stalled_seconds` is how long the decoder may give no sign, for images that make a library wait for ever.
    """

    image: ImageLimits
    seconds: int
    memory_bytes: int
    stalled_seconds: float

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> DecoderLimits:
        """Return the limits."""
        fields = json.loads(text)
        return cls(**{**fields, "image": ImageLimits(**fields["image"])})
