from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import pytest

from embedder_service import errors
from embedder_service.statuses import ERRORS
from model import errors as model_errors
from serving.error_status import ErrorStatus
from serving.errors import is_expected, to_status
from serving.received_errors import from_status, retry_delay_seconds

GROUPS = {
    errors.PullError,
    model_errors.BundleError,
    model_errors.ImageError,
    model_errors.QueryError,
    model_errors.RecipeError,
}
EXAMPLES: list[Exception] = [
    model_errors.BundleDamaged("damaged"),
    model_errors.BundleTooNew("new"),
    errors.ModelNotFound("m"),
    model_errors.StorageFull("models cannot be written."),
    errors.RecipeNotFound("r", ["mobilenet-v2"]),
    model_errors.RecipeUnusable("no"),
    errors.DownloadFailed("f", "http://localhost", "it does not answer"),
    errors.DownloadWrong("f", "http://localhost", "it is longer"),
    model_errors.PackageMissing("p", "1.0", ""),
    model_errors.PackageFileWrong("f", "it is cut off"),
    errors.Overloaded(7),
    model_errors.NotAnImage("no"),
    model_errors.UnsupportedImage("video"),
    model_errors.DamagedImage("cut"),
    model_errors.ImageTooLarge("pixels", 2, 1),
    model_errors.UndecodableImage("the decoder crashed (SIGSEGV)"),
    model_errors.InvalidCrop("empty"),
    model_errors.EmptyQuery(),
    model_errors.UnknownWords({"dgo": ("dog",)}),
    model_errors.CancelledTerms(),
    model_errors.QueryTooLong("long"),
    model_errors.InvalidWeight("dog", "is 0: leave the word out"),
]


def subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for cls in base.__subclasses__():
        yield cls
        yield from subclasses(cls)


def test_every_error_is_in_its_tree_and_has_an_example() -> None:
    known: set[type[Exception]] = set()
    for module, base in ((errors, errors.EmbedderError), (model_errors, model_errors.ModelError)):
        tree = module.__doc__ or ""
        for cls in subclasses(base):
            assert f" {cls.__name__} " in tree
            known.add(cls)
    assert {type(each) for each in EXAMPLES} == known - GROUPS


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_has_a_status_with_reason_and_message(error: Exception) -> None:
    assert is_expected(error, ERRORS)
    described = ERRORS[type(error)](error)
    assert isinstance(described, ErrorStatus)
    assert described.code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    status = to_status(error, ERRORS)
    assert status.message == str(error)
    assert from_status(status)[0]


def test_a_failed_fetch_says_when_to_retry_and_how_to_go_offline() -> None:
    error = errors.DownloadFailed("backbone", "http://localhost", "it does not answer")
    assert (retry_delay_seconds(to_status(error, ERRORS)) or 0) > 0
    assert "SEMSEARCH_EMBEDDER_MODEL_MIRROR" in str(error)


def test_statuses_say_when_to_retry_and_what_was_meant() -> None:
    assert retry_delay_seconds(to_status(errors.Overloaded(7), ERRORS)) == 1.0
    _, metadata = from_status(to_status(model_errors.UnknownWords({"dgo": ("dog",)}), ERRORS))
    assert metadata["suggestions"] == '{"dgo": ["dog"]}'


def test_the_suggestions_are_whole_json_however_long_the_words_are() -> None:
    long = {f"{number}{'misspelled' * 2}": ("mississippi" * 3,) * 3 for number in range(9)}
    _, metadata = from_status(to_status(model_errors.UnknownWords(long), ERRORS))
    suggestions = json.loads(metadata["suggestions"])
    assert list(suggestions.items()) == [(word, list(near)) for word, near in long.items()][: len(suggestions)]
    assert suggestions
