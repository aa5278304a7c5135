import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from index_service.errors import IndexNotFound, ItemNotFound, StorageFull, TooManyWrites
from index_service.group_commit import MAX_WAITING, GroupCommit

DEADLINE = 10.0


class Disk:
    """Records the groups; the first commit waits until it is released."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.begun = threading.Event()
        self.free = threading.Event()

    def commit(self, writes: Sequence[str]) -> Sequence[int | Exception]:
        self.groups.append(list(writes))
        self.begun.set()
        assert self.free.wait(DEADLINE)
        return [ItemNotFound(write, "…") if write == "bad" else len(write) for write in writes]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def test_what_arrives_during_a_commit_is_the_next_group(disk: Disk, threads: ThreadPoolExecutor) -> None:
    commits: GroupCommit[str, int] = GroupCommit(disk.commit, threads)
    first = commits.submit("a")
    assert disk.begun.wait(DEADLINE)
    later = [commits.submit(write) for write in ("bb", "ccc", "dddd")]
    disk.free.set()
    assert [future.result(DEADLINE) for future in (first, *later)] == [1, 2, 3, 4]
    assert disk.groups == [["a"], ["bb", "ccc", "dddd"]]
    commits.close(IndexNotFound("test"))


def test_one_refused_write_does_not_harm_its_neighbours(disk: Disk, threads: ThreadPoolExecutor) -> None:
    commits: GroupCommit[str, int] = GroupCommit(disk.commit, threads)
    disk.free.set()
    futures = [commits.submit(write) for write in ("a", "bad", "cc")]
    with pytest.raises(ItemNotFound):
        futures[1].result(DEADLINE)
    assert (futures[0].result(DEADLINE), futures[2].result(DEADLINE)) == (1, 2)
    commits.close(IndexNotFound("test"))


def test_a_failed_commit_fails_only_its_own_group(threads: ThreadPoolExecutor) -> None:
    failures = [StorageFull(Path("store"), "full")]

    def commit(writes: Sequence[str]) -> Sequence[int | Exception]:
        if failures:
            raise failures.pop()
        return [len(write) for write in writes]

    commits: GroupCommit[str, int] = GroupCommit(commit, threads)
    with pytest.raises(StorageFull):
        commits.submit("a").result(DEADLINE)
    assert commits.submit("bb").result(DEADLINE) == 2
    commits.close(IndexNotFound("test"))


def test_a_cancelled_write_is_dropped(disk: Disk, threads: ThreadPoolExecutor) -> None:
    commits: GroupCommit[str, int] = GroupCommit(disk.commit, threads)
    commits.submit("a")
    assert disk.begun.wait(DEADLINE)
    gone, stays = commits.submit("bb"), commits.submit("ccc")
    assert gone.cancel()
    disk.free.set()
    assert stays.result(DEADLINE) == 3
    commits.close(IndexNotFound("test"))
    assert disk.groups == [["a"], ["ccc"]]


def test_a_full_queue_refuses(disk: Disk, threads: ThreadPoolExecutor) -> None:
    commits: GroupCommit[str, int] = GroupCommit(disk.commit, threads)
    commits.submit("a")
    assert disk.begun.wait(DEADLINE)
    fits = commits.submit("x" * MAX_WAITING)
    with pytest.raises(TooManyWrites):
        commits.submit("b")
    disk.free.set()
    assert fits.result(DEADLINE) == MAX_WAITING
    assert commits.submit("b").result(DEADLINE) == 1
    commits.close(IndexNotFound("test"))


def test_closing_commits_queued_writes_and_refuses_later_ones(disk: Disk, threads: ThreadPoolExecutor) -> None:
    commits: GroupCommit[str, int] = GroupCommit(disk.commit, threads)
    taken = [commits.submit(write) for write in ("a", "bb")]
    disk.free.set()
    commits.close(IndexNotFound("test"))
    assert [future.result(0) for future in taken] == [1, 2]
    with pytest.raises(IndexNotFound):
        commits.submit("c")
