"""Paths are split and joined as AIP-161 specifies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.field_paths import join_path, split_path

NAMES = st.lists(st.text(st.characters(exclude_characters="`"), min_size=1), min_size=1, max_size=4).map(tuple)


@given(NAMES)
def test_a_path_splits_into_the_names_it_was_made_of(names: tuple[str, ...]) -> None:
    assert split_path(join_path(names)) == names


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "`", "``", "`a", "a`b`", "`a`b", "a.``"])
def test_an_invalid_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"empty name|backtick"):
        split_path(path)
