"""Pictures in the terminal, for `--show`: as terminal graphics (kitty, sixel, iTerm2) or in half blocks.

textual-image detects what the terminal supports, and draws. It comes with the extra `semsearch[show]`.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from types import ModuleType

from rich.text import Text

from semsearch.cli.harmless import harmless
from semsearch.cli.output import Output, place_of
from semsearch.cli.thumbnails import thumbnails
from semsearch.client import Client
from semsearch.errors import InvalidRequest
from semsearch.values import ImageMatch

_WIDTH = 40  # columns; a thumbnail has 320 pixels


class Pictures:
    """Shows matches as pictures.

    Raises:
        InvalidRequest: the extra is not installed.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._terminal, self._pillow = _libraries()

    def show(self, client: Client, matches: Sequence[ImageMatch], first: int) -> None:
        """Print each picture above its number, relevance and name."""
        if not self._output.results.is_terminal:
            self._output.note("--show needs a terminal; --html FILE writes the pictures to a file.")
            return
        console = self._output.results
        for number, (match, content) in enumerate(
            zip(matches, thumbnails(client, [match.image for match in matches]), strict=True), first
        ):
            if content is not None:
                picture = self._pillow.open(io.BytesIO(content)).convert("RGB")
                console.print(self._terminal.Image(picture, width=min(_WIDTH, console.width), height="auto"))
            console.print(Text(harmless(f"{number}  {match.relevance:.3f}  {place_of(match.image)}")), soft_wrap=True)


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import PIL.Image
        import textual_image.renderable
    except ImportError as error:
        raise InvalidRequest(
            f"Pictures in the terminal need {error.name}, which is not installed.",
            hint='Install the extra "show": pip install "semsearch[show]"',
        ) from error
    # It logs a traceback for each query that a terminal does not answer, although it has a fallback.
    logging.getLogger("textual_image").addHandler(logging.NullHandler())
    return textual_image.renderable, PIL.Image
