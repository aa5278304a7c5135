"""How a store in Google Cloud Storage signs in: with a service account's key, at a server that gives tokens."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from serving.object_store import ObjectStore, StoreUnavailable, StoreUnusable
from tests.breaking_proxy import BreakingProxy
from tests.gcs_server import GOOGLE
from tests.object_server import ObjectServer
from tests.ports import free_ports

TOKEN = {"access_token": "a-token", "expires_in": 3_600, "token_type": "Bearer"}
REVOKED = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


class TokenServer:
    """Answers each request for a token with a status and a JSON object."""

    def __init__(self) -> None:
        self.status, self.answer = 200, TOKEN
        self.asked = 0
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                tokens.asked += 1
                self.send_response(tokens.status)
                self.end_headers()
                self.wfile.write(json.dumps(tokens.answer).encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    server = TokenServer()
    yield server
    server.close()


def sign_in(monkeypatch: pytest.MonkeyPatch, folder: Path, token_url: str) -> None:
    """Let the libraries find the key of a service account that gets tokens at a URL."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "photos",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "semsearch@photos.iam.gserviceaccount.com",
        "token_uri": token_url,
    }
    file = folder / "account.json"
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.delenv(GOOGLE.endpoint, raising=False)


def test_requests_carry_a_token_that_is_fetched_once(
    gcs: ObjectServer, tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, tmp_path, tokens.url)
    with BreakingProxy(gcs) as proxy:
        monkeypatch.setitem(fsspec.config.conf, "gs", {"endpoint_url": proxy.url})
        ObjectStore(gcs.place("signed-in")).check()

    assert proxy.authorizations == {"Bearer a-token"}
    assert tokens.asked == 1


def test_a_key_that_was_revoked_is_said_in_one_sentence(
    tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, tmp_path, tokens.url)
    tokens.status, tokens.answer = 400, REVOKED
    store = ObjectStore(GOOGLE.place("revoked"))

    with pytest.raises(StoreUnusable, match=r"Invalid JWT Signature.*Check the credentials"):
        store.check()
    with pytest.raises(StoreUnavailable):
        store.get("a")


def test_a_store_without_a_sign_in_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    sign_in(monkeypatch, tmp_path, f"http://127.0.0.1:{port}")
    store = ObjectStore(GOOGLE.place("away"), seconds=5)

    with pytest.raises(StoreUnavailable):
        store.check()


def test_missing_credentials_are_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GOOGLE.endpoint, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "none.json")

    with pytest.raises(StoreUnusable, match=r"File none.json was not found\. Check the credentials\."):
        ObjectStore(GOOGLE.place("x"))


def test_a_missing_library_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "serving.google_files", raising=False)
    monkeypatch.setitem(sys.modules, "gcsfs.core", None)

    with pytest.raises(
        StoreUnusable, match=r"gs://images/x cannot be opened: .*gcsfs.*\. Install the suite's extra gcs\."
    ):
        ObjectStore(GOOGLE.place("x"))
