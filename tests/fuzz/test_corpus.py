"""Every input that fuzzing found interesting is tried again: files in tests/fuzz/corpus, one folder for each target."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import MODULES, load

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", MODULES)
def test_inputs_of_the_corpus_are_treated_rightly(name: str) -> None:
    target = load(name)
    files = sorted((CORPUS / name).iterdir())
    assert files
    for file in files:
        target.run(file.read_bytes())
