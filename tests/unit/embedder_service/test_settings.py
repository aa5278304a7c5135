from __future__ import annotations

import pytest

from embedder_service.settings import EmbedderSettings
from serving.settings import load_settings

MIB = 2**20


@pytest.mark.parametrize(
    "flags",
    [
        (f"--max-image-bytes={64 * MIB}",),
        (f"--max-message-bytes={16 * MIB}",),
        (f"--max-image-bytes={8 * MIB}", f"--max-message-bytes={8 * MIB}"),
    ],
)
def test_images_larger_than_messages_are_refused_at_the_start(
    flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        load_settings(EmbedderSettings, flags)
    assert stopped.value.code == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "SEMSEARCH_EMBEDDER_MAX_IMAGE_BYTES" in sentence
    assert "SEMSEARCH_MAX_MESSAGE_BYTES" in sentence


def test_the_largest_images_that_fit_are_accepted() -> None:
    settings = load_settings(EmbedderSettings, [f"--max-image-bytes={15 * MIB}", f"--max-message-bytes={16 * MIB}"])
    assert settings.max_image_bytes == 15 * MIB
