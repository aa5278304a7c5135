"""Names of collections and aliases in Weaviate, which allows letters, digits and "_", and does not tell "A" from "a".

A capital becomes "_" and its small letter; "_", "." and "-" become "_0", "_1" and "_2".
"""

from __future__ import annotations

import re

from index_service.errors import InvalidName

PREFIX = "Semsearch_"
_MAX_CHARACTERS = 255
_SPECIAL = {"_": "_0", ".": "_1", "-": "_2"}
_PLAIN = {text: character for character, text in _SPECIAL.items()}


def to_weaviate(name: str) -> str:
    """Return the collection's name of an index or an alias.

    Raises:
        InvalidName: it would be too long.
    """
    encoded = PREFIX + "".join(_SPECIAL.get(each) or (f"_{each.lower()}" if each.isupper() else each) for each in name)
    if len(encoded) > _MAX_CHARACTERS:
        raise InvalidName(
            name,
            "it is too long, because each capital letter, dot, hyphen and underscore counts twice",
        )
    return encoded


def from_weaviate(encoded: str) -> str:
    """Return the name that `to_weaviate` encoded."""
    return re.sub("_.", lambda match: _PLAIN.get(match[0]) or match[0][1].upper(), encoded.removeprefix(PREFIX))
