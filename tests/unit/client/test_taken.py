"""The time a photo was taken: user input becomes bounds of a text."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semsearch.errors import InvalidRequest
from semsearch.filters import taken as taken_in

DATES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
LENGTHS = st.sampled_from([4, 7, 10, 13, 16, 19])


def passes(taken: str, time: str) -> bool:
    bounds = taken_in(taken).message.must[0].text_range
    return (not bounds.HasField("gte") or time >= bounds.gte) and (not bounds.HasField("lt") or time < bounds.lt)


@given(DATES, DATES, DATES, LENGTHS, LENGTHS, st.sampled_from(["", "+02:00", "-11:30"]))
def test_a_range_has_the_times_from_its_first_period_to_its_last(
    one: datetime, other: datetime, time: datetime, length: int, other_length: int, offset: str
) -> None:
    first, last = sorted((one, other))
    begin, end = first.isoformat(timespec="seconds")[:length], last.isoformat(timespec="seconds")[:other_length]
    text = time.isoformat(timespec="seconds") + offset
    assert passes(f"{begin}..{end}", text) == (begin <= text[:length] and text[:other_length] <= end)


@given(DATES, LENGTHS)
def test_a_single_period_has_its_times_alone(time: datetime, length: int) -> None:
    text = time.isoformat(timespec="seconds")
    assert passes(text[:length], text)
    assert not passes(text[:length], (time + timedelta(days=400)).isoformat(timespec="seconds"))
    assert passes(f"{text[:length]}..", "2101-01-01T00:00:00")
    assert passes(f"..{text[:length]}", "1899-01-01T00:00:00")


@pytest.mark.parametrize("taken", ["yesterday", "..", "2024-6", "2024-06..may", "24", "2024-08..2024-06", "2024.."[:5]])
def test_what_is_no_time_is_refused(taken: str) -> None:
    with pytest.raises(InvalidRequest, match=r"is not a time|ends before"):
        taken_in(taken)
