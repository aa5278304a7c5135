from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.object_store import READ_SECONDS, ObjectMissing, ObjectStore, StoreUnavailable, StoreUnusable
from tests.breaking_proxy import BreakingProxy
from tests.object_server import ObjectServer
from tests.ports import free_ports


@pytest.fixture(params=["s3", "gcs"])
def server(request: pytest.FixtureRequest) -> ObjectServer:
    found: ObjectServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["folder", "memory", "s3", "gcs"])
def store(request: pytest.FixtureRequest, new_place: Callable[[str], str]) -> ObjectStore:
    return ObjectStore(new_place(request.param))


def use(monkeypatch: pytest.MonkeyPatch, server: ObjectServer, url: str = "") -> None:
    for name, value in server.environment(url).items():
        monkeypatch.setenv(name, value)


def test_what_was_put_is_read(store: ObjectStore) -> None:
    store.put("a/one", b"0123456789")

    assert store.get("a/one") == b"0123456789"
    assert store.get("a/one", 2, 5) == b"234"
    assert store.get("a/one", 8, 100) == b"89"


@pytest.mark.parametrize("content", [b"image\n--==0==--\nand its rest", b"\r\n--==0==--\r\n--==0==\r\n\r\n0\r\n\r\n"])
def test_no_content_ends_an_object_early(store: ObjectStore, content: bytes) -> None:
    """Libraries put objects between lines of their own, which an image may contain."""
    store.put("a", content)

    assert store.get("a") == content


def test_an_object_may_be_empty_or_large(store: ObjectStore) -> None:
    large = bytes(range(256)) * 2**18
    store.put("empty", b"")
    store.put("large", large)

    assert store.get("empty") == b""
    assert store.get("large") == large
    assert {each.key: each.size for each in store.list()} == {"empty": 0, "large": len(large)}


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


def test_many_objects_are_listed_and_deleted(store: ObjectStore) -> None:
    """More than a store lists with one answer."""
    keys = {f"many/{number}" for number in range(1_001)}
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda key: store.put(key, b""), keys))
    assert {each.key for each in store.list("many/")} == keys

    store.delete(sorted(keys))

    assert list(store.list("many/")) == []


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


def test_a_missing_bucket_is_said_in_one_sentence(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, server)

    with pytest.raises(StoreUnusable, match=r"://none/images does not exist\. Create the bucket"):
        ObjectStore(f"{server.scheme}://none/images").check()


def test_a_store_that_is_away_is_unavailable(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    use(monkeypatch, server, f"http://127.0.0.1:{port}")
    store = ObjectStore(server.place("x"))

    with pytest.raises(StoreUnavailable):
        store.put("a", b"")


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(StoreUnusable, match="nothing://"):
        ObjectStore("nothing://a")


def test_secrets_in_a_url_are_not_shown() -> None:
    with pytest.raises(StoreUnusable) as raised:
        ObjectStore("nothing://user:secret@host/a")

    assert "secret" not in str(raised.value)


@pytest.fixture
def proxy(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[BreakingProxy]:
    with BreakingProxy(server) as running:
        use(monkeypatch, server, running.url)
        yield running


def behind(proxy: BreakingProxy, seconds: float = 60) -> ObjectStore:
    return ObjectStore(proxy.server.place(uuid.uuid4().hex), seconds)


@pytest.mark.parametrize("kind", ["error", "slow down", "reset", "half"])
def test_a_broken_answer_is_asked_for_again(proxy: BreakingProxy, kind: str) -> None:
    store = behind(proxy)
    content = bytes(range(256)) * 100

    proxy.breaks.append(kind)
    store.put("a", content)
    proxy.breaks.append(kind)
    assert store.get("a") == content
    proxy.breaks.append(kind)
    assert [each.size for each in store.list()] == [len(content)]
    assert proxy.broken == 3


@pytest.mark.parametrize("kind", ["half", "slow down", "denied"])
def test_an_answer_that_stays_broken_is_unavailable(proxy: BreakingProxy, kind: str) -> None:
    store = behind(proxy)
    store.put("a", b"0123456789")
    proxy.always = kind

    with pytest.raises(StoreUnavailable):
        store.get("a")


def test_a_store_that_hangs_is_unavailable_in_time(proxy: BreakingProxy) -> None:
    store = behind(proxy, seconds=0.5)
    proxy.always = "hang"

    for call in (lambda: store.put("a", b""), lambda: store.get("a"), lambda: list(store.list("a/"))):
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"no answer in 0\.5 s"):
            call()
        assert time.monotonic() - begin < READ_SECONDS


def test_an_answer_that_stops_is_unavailable_in_time(proxy: BreakingProxy) -> None:
    place = proxy.server.place(uuid.uuid4().hex)
    ObjectStore(place).put("a", b"0123456789")
    store = ObjectStore(place, seconds=0.5)
    proxy.always = "stall"

    for call in (lambda: store.get("a"), lambda: list(store.list("a/"))):
        with pytest.raises(StoreUnavailable, match=r"no answer in 0\.5 s"):
            call()


def test_a_silent_connection_is_given_up_long_before_the_call(
    gcs: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.google_files.READ_SECONDS", 0.1)
    with BreakingProxy(gcs) as proxy:
        use(monkeypatch, gcs, proxy.url)
        store = behind(proxy)
        proxy.breaks.append("hang")
        store.put("a", b"1")
        proxy.always = "stall"

        with pytest.raises(StoreUnavailable, match="Timeout on reading"):
            store.get("a")


def test_a_deletion_that_the_store_refuses_is_an_error(proxy: BreakingProxy) -> None:
    store = behind(proxy)
    store.put("a", b"")
    proxy.breaks.append("kept")

    with pytest.raises(StoreUnavailable, match="Access Denied"):
        store.delete(["a", "b"])


def test_each_call_is_one_request(proxy: BreakingProxy, s3: ObjectServer) -> None:
    store = behind(proxy)
    store.put("a/1", b"0123456789")
    store.get("a/1")
    list(store.list("a/"))
    list(store.list("none/"))
    store.info("a/1")
    store.delete(["a/1"])

    if proxy.server is s3:
        assert proxy.methods == ["PUT", "GET", "GET", "GET", "HEAD", "POST"]
    else:
        assert proxy.methods == ["POST", "GET", "GET", "GET", "GET", "DELETE"]


def test_a_store_that_refuses_access_is_unusable(proxy: BreakingProxy) -> None:
    proxy.always = "denied"

    with pytest.raises(StoreUnusable, match=r"refuses to be written and read: Access Denied\. Check the credentials"):
        behind(proxy).check()


def test_missing_credentials_are_said_in_one_sentence(s3: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, s3)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")

    with pytest.raises(StoreUnusable, match="Check the credentials"):
        ObjectStore(s3.place("x")).check()


def test_a_bucket_that_vanishes_is_unavailable_and_not_empty(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server)
    store = ObjectStore(f"{server.scheme}://gone/images")

    for call in (
        lambda: store.get("a"),
        lambda: list(store.list("a/")),
        lambda: list(store.list()),
        lambda: store.delete(["a"]),
    ):
        with pytest.raises(StoreUnavailable, match="the place does not exist"):
            call()
