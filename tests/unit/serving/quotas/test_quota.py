from __future__ import annotations

import pytest

from serving.quotas.quota import UNLIMITED, Quota

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("", UNLIMITED),
        ("unlimited", UNLIMITED),
        ("50/s", Quota(SECOND // 50, 50)),
        ("1/hour", Quota(3_600 * SECOND, 1)),
        ("3000/minute, burst 7", Quota(SECOND // 50, 7)),
        (" 2 / second , 1_000/day,burst 3", Quota(SECOND // 2, 3, 1_000)),
        ("100000/day", Quota(per_day=100_000)),
    ],
)
def test_a_quota_is_read_from_text(text: str, quota: Quota) -> None:
    assert Quota.parse(text) == quota
    assert Quota.parse(str(quota)) == quota


@pytest.mark.parametrize(
    "text", ["50", "0/s", "-1/s", "burst 5", "5/s, 6/s", "1/day, 2/day", "5/week", "5/s burst 5", "2000000/s", "٣/s"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write"):
        Quota.parse(text)
