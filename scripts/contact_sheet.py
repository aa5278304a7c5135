"""Draws the results of example queries on a running suite: `python scripts/contact_sheet.py docs/queries.png`.

Each row has a query and its first images that are relevant enough, with their relevance. All images come from the
collection, so with the gallery that ships the sheet contains no images of others.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client

# Labels, a category, words that are not labels, two words, a negative weight, and a word that no image shows.
QUERIES = (
    "boat", "elephant", "fruit", "vehicle", "kitten", "airplane sky", "vehicle -bus", "red flower", "sea", "microscope",
)  # fmt: skip
COLUMNS = 8
CELL, TITLE, LINE = 112, 190, 16


def main(
    out: Annotated[Path, typer.Argument(help="The PNG file to write.")],
    server: Annotated[str, typer.Option(help="Where the gateway listens.")] = DEFAULT_SERVER,
    collection: Annotated[str, typer.Option(help="The collection to search.")] = DEFAULT_COLLECTION,
) -> None:
    """Search, and draw the results."""
    sheet = Image.new("RGB", (TITLE + COLUMNS * CELL, len(QUERIES) * (CELL + LINE)), "white")
    draw = ImageDraw.Draw(sheet)
    words, figures = ImageFont.load_default(17), ImageFont.load_default(11)
    with Client(server) as client:
        for row, query in enumerate(QUERIES):
            top = row * (CELL + LINE)
            found = client.search_by_text(query, collection=collection, page_size=COLUMNS).matches
            draw.text((10, top + CELL // 2 - 10), query, "black", words)
            if not found:
                draw.text((TITLE, top + CELL // 2 - 8), "nothing is relevant enough", "#777777", words)
            for column, match in enumerate(found):
                left = TITLE + column * CELL
                content = client.download_image(match.image.id, collection=collection, thumbnail=True)
                with Image.open(io.BytesIO(content)) as picture:
                    small = picture.convert("RGB").resize((CELL - 6, CELL - 6), Image.Resampling.LANCZOS)
                sheet.paste(small, (left, top + 3))
                draw.text((left + 2, top + CELL - 1), f"{match.relevance:.3f}", "#444444", figures)
    sheet.quantize(256).save(out, optimize=True)


if __name__ == "__main__":
    typer.run(main)
