"""The names of the classes and their kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.needs import SHARED_DATA
from trainer.errors import UnknownLabel
from trainer.labels.class_words import ClassWords
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.starter.vocabulary import label_words
from trainer.words.wordnet import DEFAULT_FOLDER, WordNet

PHOTOS = SHARED_DATA / "tiny-imagenet"
COMMON = {"animal", "fish", "bird", "car", "vehicle", "container", "bucket", "dog"}
# As in conftest.py: the number of a noun's line.
GOLDFISH, MAGPIE, SPORTS_CAR, BUCKET, LAWYER = "n00000021", "n00000024", "n00000013", "n00000008", "n00000027"
CARP = "n00000033"


def zipf(text: str) -> float:
    return 5.0 if text in COMMON else 2.5 if text in {"goldfish", "magpie"} else 0.0


def labels_of(folder: Path, wordnet: WordNet, *wnids: str) -> dict[str, ClassWords]:
    (folder / "classes.json").write_text(json.dumps(dict.fromkeys(wnids, "")))
    return {each.name: each for each in label_words(folder, wordnet, zipf)}


def test_a_class_has_a_common_name_never_its_scientific_one(tmp_path: Path, wordnet: WordNet) -> None:
    labels = labels_of(tmp_path, wordnet, GOLDFISH, CARP)
    assert labels[GOLDFISH].word == "goldfish"
    assert labels[CARP].word == "gibel carp"  # WordNet names it "Carassius gibelio" first


def test_kinds_are_the_common_words_nearest_first(tmp_path: Path, wordnet: WordNet) -> None:
    labels = labels_of(tmp_path, wordnet, GOLDFISH, MAGPIE, SPORTS_CAR)
    assert labels[GOLDFISH].kinds == ("fish", "animal")  # no "chordate", "organism", "entity"
    assert labels[MAGPIE].kinds == ("bird", "animal")
    assert labels[SPORTS_CAR].kinds == ("car", "vehicle")


def test_a_phrase_is_in_lower_case_with_spaces(tmp_path: Path, wordnet: WordNet) -> None:
    assert labels_of(tmp_path, wordnet, SPORTS_CAR)[SPORTS_CAR].word == "sports car"


def test_photos_come_by_id_and_then_the_scenes_in_their_order(tmp_path: Path, wordnet: WordNet) -> None:
    names = list(labels_of(tmp_path, wordnet, MAGPIE, BUCKET))
    assert names == [BUCKET, MAGPIE, *(scene.word for scene in SCENE_CLASSES)]


def test_a_kind_that_cannot_be_seen_is_none(tmp_path: Path, wordnet: WordNet) -> None:
    assert labels_of(tmp_path, wordnet, LAWYER)[LAWYER].kinds == ()


def test_a_class_that_wordnet_does_not_know_is_refused_by_name(tmp_path: Path, wordnet: WordNet) -> None:
    with pytest.raises(UnknownLabel, match="n12345678"):
        labels_of(tmp_path, wordnet, "n12345678")


@pytest.fixture(scope="module")
def real() -> dict[str, ClassWords]:
    wordfreq = pytest.importorskip("wordfreq", reason="wordfreq is not installed")
    if not (DEFAULT_FOLDER / "data.noun").exists():
        pytest.skip("the Debian package wordnet-base is not installed")
    if not PHOTOS.exists():
        pytest.skip(f"the photos are not at {PHOTOS}")
    found = label_words(PHOTOS, WordNet.read(), lambda text: float(wordfreq.zipf_frequency(text, "en")))
    return {each.name: each for each in found}


def test_every_class_has_a_word_and_its_kinds_are_others(real: dict[str, ClassWords]) -> None:
    assert len(real) == 220
    for label in real.values():
        assert label.word == label.word.lower().strip()
        assert "_" not in label.word
        assert label.word not in label.kinds
        assert len(set(label.kinds)) == len(label.kinds)


@pytest.mark.parametrize(
    ("name", "word", "kind"),
    [
        ("n01443537", "goldfish", "fish"),
        ("n02106662", "german shepherd", "dog"),
        ("n02165456", "ladybug", "insect"),
        ("n04146614", "school bus", "vehicle"),
        ("n07747607", "orange", "fruit"),
        ("n04285008", "sports car", "vehicle"),
        ("n03662601", "lifeboat", "boat"),
        ("n04099969", "rocking chair", "furniture"),
        ("n02837789", "bikini", "clothing"),
        ("dog", "dog", "animal"),
    ],
)
def test_well_known_classes(real: dict[str, ClassWords], name: str, word: str, kind: str) -> None:
    assert real[name].word == word
    assert kind in real[name].kinds


def test_no_kind_is_of_the_top_of_wordnet_or_of_science(real: dict[str, ClassWords]) -> None:
    kinds = {kind for label in real.values() for kind in label.kinds}
    assert not kinds & {"artifact", "whole", "object", "entity", "chordate", "placental", "instrumentality", "organism"}


def test_no_two_photo_classes_share_a_word(real: dict[str, ClassWords]) -> None:
    words = [label.word for name, label in real.items() if name not in {scene.word for scene in SCENE_CLASSES}]
    assert len(set(words)) == len(words) == 200
