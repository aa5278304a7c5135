from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.object_store import ObjectMissing, ObjectStore, StoreUnavailable, StoreUnusable
from tests.ports import free_ports
from tests.s3_server import BUCKET, BreakingProxy, environment, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "folder":
        return ObjectStore(str(tmp_path / "objects"))
    if request.param == "memory":
        return ObjectStore(f"memory://{uuid.uuid4().hex}")
    use_s3(monkeypatch, request.getfixturevalue("s3"))
    return ObjectStore(f"s3://images/{uuid.uuid4().hex}")


def use_s3(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)


def test_what_was_put_is_read(store: ObjectStore) -> None:
    store.put("a/one", b"0123456789")

    assert store.get("a/one") == b"0123456789"
    assert store.get("a/one", 2, 5) == b"234"
    assert store.get("a/one", 8, 100) == b"89"


def test_a_put_replaces(store: ObjectStore) -> None:
    store.put("a", b"before")
    store.put("a", b"after")

    assert store.get("a") == b"after"


def test_info_has_size_and_time(store: ObjectStore) -> None:
    before = time.time()
    store.put("a", b"12345")

    info = store.info("a")

    assert (info.key, info.size) == ("a", 5)
    assert abs(info.modified - before) < 30


def test_a_list_has_the_objects_of_a_folder(store: ObjectStore) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "4"):
        store.put(key, key.encode())

    assert {(each.key, each.size) for each in store.list("a/")} == {("a/1", 3), ("a/b/2", 5)}
    assert {each.key for each in store.list()} == {"a/1", "a/b/2", "ab/3", "4"}
    assert list(store.list("none/")) == []


def test_what_is_deleted_is_missing(store: ObjectStore) -> None:
    store.put("a/1", b"1")
    store.put("a/2", b"2")

    store.delete(["a/1", "a/none"])

    assert [each.key for each in store.list("a/")] == ["a/2"]
    for read in (store.get, store.info):
        with pytest.raises(ObjectMissing):
            read("a/1")


def test_a_folder_of_objects_is_no_object(store: ObjectStore) -> None:
    store.put("a/1", b"1")

    with pytest.raises(ObjectMissing):
        store.info("a")


def test_a_check_leaves_nothing(store: ObjectStore) -> None:
    store.check()

    assert list(store.list()) == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "../a", "a/../b", "a//b", ".hidden", "a\nb"])
def test_keys_cannot_leave_the_place(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        store.put(key, b"")


def test_files_under_temporary_names_are_no_objects(tmp_path: Path) -> None:
    store = ObjectStore(str(tmp_path))
    (tmp_path / ".tmp-00000000-a").write_bytes(b"half")

    assert list(store.list()) == []


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = ObjectStore(str(tmp_path / "file"))

    with pytest.raises(StoreUnavailable):
        store.put("a", b"")


def test_a_missing_bucket_is_said_in_one_sentence(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(monkeypatch, s3)

    with pytest.raises(StoreUnusable, match=r"s3://none/images does not exist\. Create the bucket"):
        ObjectStore("s3://none/images").check()


def test_a_store_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    use_s3(monkeypatch, f"http://127.0.0.1:{port}")
    store = ObjectStore("s3://images/x")

    for call in (lambda: store.get("a"), lambda: store.put("a", b""), lambda: list(store.list()), store.check):
        with pytest.raises(StoreUnavailable):
            call()


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(StoreUnusable, match="nothing://"):
        ObjectStore("nothing://a")


def test_secrets_in_a_url_are_not_shown() -> None:
    with pytest.raises(StoreUnusable) as raised:
        ObjectStore("nothing://user:secret@host/a")

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("kind", ["error", "slow down", "reset", "half"])
def test_a_broken_answer_is_asked_for_again(s3: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    proxy = BreakingProxy(s3)
    try:
        use_s3(monkeypatch, proxy.url)
        store = ObjectStore(f"s3://{BUCKET}/{uuid.uuid4().hex}")
        content = bytes(range(256)) * 100
        proxy.breaks.append(kind)
        store.put("a", content)
        proxy.breaks.append(kind)
        assert store.get("a") == content
        proxy.breaks.append(kind)
        assert [each.size for each in store.list()] == [len(content)]
        assert proxy.broken == 3
    finally:
        proxy.close()


def test_an_answer_that_stays_broken_is_unavailable(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = BreakingProxy(s3)
    try:
        use_s3(monkeypatch, proxy.url)
        store = ObjectStore(f"s3://{BUCKET}/{uuid.uuid4().hex}")
        store.put("a", b"0123456789")
        proxy.breaks.extend(["half"] * 100)
        with pytest.raises(StoreUnavailable):
            store.get("a")
    finally:
        proxy.close()
