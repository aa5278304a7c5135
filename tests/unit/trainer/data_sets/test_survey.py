"""What is found out about a data set before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data_sets.reading import LabelledFile, Split
from trainer.data_sets.survey import survey
from trainer.errors import TrainingSetUnusable


def image(number: int, label: str = "cat", split: Split | None = None, key: str | None = None) -> LabelledFile:
    return LabelledFile(key or f"{label}/{number}.jpg", f"picture {number}".encode(), (label,), split)


def images(count: int) -> list[LabelledFile]:
    return [image(number, "cat" if number % 2 else "dog") for number in range(count)]


def test_classes_are_sorted_and_files_counted() -> None:
    found = survey([*images(10), image(1)])
    assert (found.names, found.images, found.validation) == (("cat", "dog"), 11, frozenset())


def test_about_the_share_is_for_validation() -> None:
    assert 150 < len(survey(images(1000), 0.2).validation) < 250


@given(added=st.integers(0, 30), order=st.randoms())
def test_an_image_never_changes_sides_when_images_are_added(added: int, order: object) -> None:
    some = images(40)
    more = images(40 + added)
    order.shuffle(more)  # type: ignore[attr-defined]
    before = survey(some, 0.2).validation
    assert survey(more, 0.2).validation & {each.digest for each in some} == before
    assert before <= survey(some, 0.3).validation


def test_copies_are_one_image_on_one_side() -> None:
    copies = [image(number, "cat" if number % 2 else "dog", key=f"copy/{number}") for number in range(40)]
    assert survey([*images(40), *copies], 0.3).validation == survey(images(40), 0.3).validation


def test_images_without_a_side_train_if_others_have_one() -> None:
    given = [image(50, "cat", "validation"), image(51, "dog", "validation")]
    assert survey([*images(20), *given], 0.5).validation == {each.digest for each in given}
    assert survey([*images(20), image(52, "cat", "train")], 0.5).validation == frozenset()


@pytest.mark.parametrize("sides", [("train", "validation"), ("validation", "train"), (None, "validation")])
def test_an_image_on_both_sides_is_refused_naming_the_pair(sides: tuple[Split | None, Split]) -> None:
    twice = [image(99, split=sides[0], key="a.jpg"), image(99, split=sides[1], key="b.jpg")]
    with pytest.raises(TrainingSetUnusable, match=r"^1 image is .*a\.jpg \(\w+\) and b\.jpg \(\w+\)\. Take"):
        survey([*images(10), *twice])


def test_many_pairs_are_counted_and_the_first_named() -> None:
    pairs = [image(number, split=split) for number in range(100, 109) for split in ("train", "validation")]
    with pytest.raises(TrainingSetUnusable, match=r"^9 images .*104\.jpg \(validation\) …") as refused:
        survey(pairs)
    assert "105.jpg" not in str(refused.value)


def of(*labels: str) -> Iterable[LabelledFile]:
    return (image(number, label) for number, label in enumerate(labels))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (of("cat", "cat", "cat"), r"one class \(cat\)"),
        (of("cat", "dog"), r"'cat', 'dog' have fewer than two images"),
        (of("cat", "cat", "dog"), r"'dog' has fewer than two images"),
        ([image(1), image(1), image(2, "dog"), image(3, "dog")], r"'cat' has fewer than two images"),
        (of(*"abcdefgh"), r"'e' and 3 more have"),
        ([*images(10), image(20, "owl", "validation"), image(21, "owl", "validation")], r"'owl' is for validation"),
        ([LabelledFile("1.jpg", b"1", ())], r"none has a label"),
    ],
)
def test_an_untrainable_data_set_is_refused_by_name(data: Iterable[LabelledFile], message: str) -> None:
    with pytest.raises(TrainingSetUnusable, match=message):
        survey(data)
