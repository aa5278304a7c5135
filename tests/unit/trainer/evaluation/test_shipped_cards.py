"""The shipped models' cards: the same in bundle and docs, and about the bundle that they are in."""

from pathlib import Path

import pytest

from model.bundle.reading import CARD, peek

ROOT = Path(__file__).parents[4]
SHIPPED = {"starter": ROOT / "starter" / "bundle", "mobilenet-v2": ROOT / "starter" / "recipes" / "mobilenet-v2"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_has_its_own_card_with_it_and_in_docs(name: str) -> None:
    card = (SHIPPED[name] / CARD).read_text(encoding="utf-8")
    assert f"`{peek(SHIPPED[name]).id}`" in card
    assert card == (ROOT / "docs" / "models" / f"{name}.md").read_text(encoding="utf-8")
