from __future__ import annotations

import pytest

from gateway.web.byte_ranges import ByteRange, UnsatisfiableRange, byte_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=2-", ByteRange(2, 10)),
        ("bytes=2-5", ByteRange(2, 6)),
        ("bytes=5-99", ByteRange(5, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-99", ByteRange(0, 10)),
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        (f"bytes=0-{'9' * 5_000}", None),
    ],
)
def test_one_range_is_read_and_anything_else_means_all_bytes(header: str | None, expected: ByteRange | None) -> None:
    assert byte_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_sent(header: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        byte_range(header, 10)


def test_nothing_of_an_empty_file_can_be_sent() -> None:
    with pytest.raises(UnsatisfiableRange):
        byte_range("bytes=0-", 0)
