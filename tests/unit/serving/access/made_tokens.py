"""Tokens and files of tokens, made when the tests run."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from google.protobuf import json_format
from semsearch.access.v1 import token_file_pb2 as pb

from serving.access.tokens import digest_of

ROLES = {"read": pb.ROLE_READ, "write": pb.ROLE_WRITE, "admin": pb.ROLE_ADMIN}


class MadeTokens:
    """A file of tokens and the suite's key, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tokens.json"
        self.key = folder / "suite.key"
        self.file = pb.TokenFile()
        self.key.write_text(f"{secrets.token_hex(32)}\n", encoding="utf-8")
        self.write()

    def add(self, caller: str, role: str = "read", *collections: str, expires_in: float | None = None) -> str:
        """Add a token to the file and return it."""
        token_id = secrets.token_hex(6)
        token = f"semsearch_{token_id}_{secrets.token_urlsafe(32)}"
        entry = self.file.tokens.add(
            id=token_id, caller=caller, role=ROLES[role], collections=collections, sha256=digest_of(token).hex()
        )
        if expires_in is not None:
            entry.expire_time.FromMilliseconds(int((time.time() + expires_in) * 1_000))
        self.write()
        return token

    def write(self) -> None:
        self.path.write_text(json_format.MessageToJson(self.file), encoding="utf-8")
