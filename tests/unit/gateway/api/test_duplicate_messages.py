"""Groups of duplicates in messages that every client takes, and their way back to whole groups."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from semsearch.rpc_errors import GATEWAY
from semsearch.translate import DuplicatesTranslator
from semsearch.transport.server import Server

from gateway.api.duplicate_messages import duplicate_messages
from gateway.collections.duplicates import DuplicatesFound
from gateway.collections.images import StoredImage

CLIENT_LIMIT = 4 * 2**20
IMAGE = StoredImage(
    "", "gallery", {"note": "x" * 60_000}, f"{0:064x}", "image/png", 1, 1, 1, datetime(2026, 1, 1, tzinfo=UTC)
)


@pytest.mark.parametrize("sizes", [[2, 150, 3, 51, 49, 2], [52, 2], [51, 2], [104, 3]])
def test_large_groups_come_in_parts_that_the_client_joins(sizes: list[int]) -> None:
    groups = [[replace(IMAGE, id=f"{group}-{n}") for n in range(size)] for group, size in enumerate(sizes)]
    messages = list(duplicate_messages(DuplicatesFound(groups, 5, 9, 1, 2)))
    assert len(messages) > 1
    assert all(
        message.ByteSize() < CLIENT_LIMIT and all(part.images for part in message.groups) for message in messages
    )
    translate = DuplicatesTranslator(Server("127.0.0.1:1", GATEWAY))
    steps = [translate(message) for message in messages]
    assert {(each.done_count, each.total_count, each.unhashed_count, each.plain_count) for each in steps} == {
        (5, 9, 1, 2)
    }
    joined = [[image.id for image in group] for step in steps for group in step.groups]
    assert joined == [[image.id for image in group] for group in groups]


def test_progress_without_groups_is_one_message() -> None:
    (message,) = duplicate_messages(DuplicatesFound((), 5, 9, 1, 2))
    assert (message.done_count, message.total_count, len(message.groups)) == (5, 9, 0)
