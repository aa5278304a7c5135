"""The modules that importing `semsearch` loads."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from unittest.mock import Mock

import pytest
import semsearch
from semsearch import Client


@pytest.mark.parametrize("name", semsearch.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(semsearch, name) is not None


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="Clint"):
        semsearch.Clint  # type: ignore[attr-defined]  # noqa: B018


def loaded_by(*modules: str) -> set[str]:
    """Return what another process has loaded after importing some modules."""
    script = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_the_messages_alone_need_no_grpc() -> None:
    assert not {"grpc", "semsearch.client"} & loaded_by("semsearch.v1.query_pb2", "semsearch.bundle.v1.manifest_pb2")


def test_the_services_load_nothing_of_the_client() -> None:
    loaded = loaded_by("embedder_service.__main__", "gateway.__main__", "index_service.__main__")
    assert {name for name in loaded if name.startswith("semsearch.") and "v1" not in name} <= {
        "semsearch.access", "semsearch.bundle", "semsearch.embedder", "semsearch.index",
    }  # fmt: skip


@pytest.mark.parametrize(("error", "closes"), [(None, 1), (ValueError, 1), (KeyboardInterrupt, 0)])
def test_ctrl_c_does_not_wait_for_the_channel(error: type[BaseException] | None, closes: int) -> None:
    client = Client("127.0.0.1:1")
    channel, client.channel = client.channel, Mock()
    with suppress(ValueError, KeyboardInterrupt), client:
        if error:
            raise error
    assert client.channel.close.call_count == closes
    channel.close()
