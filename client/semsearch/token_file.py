"""The file of tokens that a suite accepts (semsearch/access/v1/token_file.proto), as `semsearch token` changes it.

Commands that change it at the same time wait for each other, and a service that reads it sees it complete, before or
after a change. Beside it lies suite.key, the key that the suite's services share; it is made with the file.

Services refuse the file as a whole if anything in it is beyond a limit, and would not see a token revoked then. So no
command writes such a file.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.protobuf import json_format

from semsearch.access.v1 import token_file_pb2 as pb
from semsearch.errors import InvalidRequest, NotFound
from semsearch.private_files import replace_file

SUITE_KEY = "suite.key"
MAX_TOKENS = 10_000
MAX_COLLECTIONS = 1_000
ROLES = {"read": pb.ROLE_READ, "write": pb.ROLE_WRITE, "admin": pb.ROLE_ADMIN}
_PREFIX = "semsearch"
_ID_BYTES = 6
_SECRET_BYTES = 32
_CALLER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_COLLECTION = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LOCK_SECONDS = 10.0
# So long after a token has expired, its caller still hears why it is refused.
_KEPT_EXPIRED = timedelta(days=30)


class TokenFile:
    """The file at a path, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tokens(self) -> list[pb.AccessToken]:
        """Return its tokens, oldest first; raises `InvalidRequest`."""
        return list(self._read().tokens)

    def add(self, caller: str, role: str, collections: Sequence[str], expires: datetime | None) -> tuple[str, str]:
        """Add a token, and return its id and the token, which is stored nowhere.

        Tokens that expired more than 30 days ago are dropped from the file.

        Raises:
            InvalidRequest: A name is wrong, there are too many collections or tokens, or the file cannot be changed.
        """
        if not _CALLER.fullmatch(caller):
            raise InvalidRequest(
                f"{caller!r} cannot be a caller's name.",
                hint="It has 1 to 63 letters, digits, dots, hyphens and underscores; the first is a letter or a digit.",
            )
        for collection in collections:
            if not _COLLECTION.fullmatch(collection):
                raise InvalidRequest(f"{collection!r} cannot be a collection's id.", hint=_IDS)
        own = sorted({*collections})
        if len(own) > MAX_COLLECTIONS:
            raise InvalidRequest(
                f"A token may be for {MAX_COLLECTIONS:,} collections at most, and this one would be for {len(own):,}.",
                hint="Make several tokens, or one for all collections.",
            )
        token_id = secrets.token_hex(_ID_BYTES)
        token = f"{_PREFIX}_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        now = datetime.now(UTC).replace(microsecond=0)
        with self._changing() as file:
            _keep(file, [each for each in file.tokens if not _expired_before(each, now - _KEPT_EXPIRED)])
            if len(file.tokens) >= MAX_TOKENS:
                raise InvalidRequest(
                    f"{self.path} has {len(file.tokens):,} tokens, and may have {MAX_TOKENS:,}.",
                    hint="Revoke some with `semsearch token revoke`, for example all of one caller with --caller.",
                )
            added = file.tokens.add(
                id=token_id,
                caller=caller,
                role=ROLES[role],
                collections=own,
                sha256=hashlib.sha256(token.encode()).hexdigest(),
            )
            added.create_time.FromDatetime(now)
            if expires is not None:
                added.expire_time.FromDatetime(expires)
        return token_id, token

    def remove(self, ids: Sequence[str], callers: Sequence[str]) -> list[pb.AccessToken]:
        """Remove the tokens with these ids, and those of these callers; return them.

        Raises:
            NotFound: There is none for one of the ids or callers; then none is removed.
            InvalidRequest: The file cannot be changed.
        """
        with self._changing() as file:
            for kind, wanted, known in (
                ("id", ids, {each.id for each in file.tokens}),
                ("caller", callers, {each.caller for each in file.tokens}),
            ):
                if missing := [each for each in wanted if each not in known]:
                    raise NotFound(
                        f'No token in {self.path} has the {kind} "{missing[0]}".',
                        hint="`semsearch token list` has all.",
                    )
            removed = [each for each in file.tokens if each.id in ids or each.caller in callers]
            gone = {each.id for each in removed}
            _keep(file, [each for each in file.tokens if each.id not in gone])
        return removed

    @contextmanager
    def _changing(self) -> Iterator[pb.TokenFile]:
        """Yield the content, and write it when the `with` block ends without an error."""
        from filelock import FileLock, Timeout  # it imports asyncio, which `semsearch token list` does not need

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_LOCK_SECONDS):
                file = self._read()
                yield file
                key = self.path.with_name(SUITE_KEY)
                if not key.exists():
                    _write(key, f"{secrets.token_hex(_SECRET_BYTES)}\n")
                _write(self.path, json_format.MessageToJson(file) + "\n")
        except Timeout as error:
            raise InvalidRequest(f"Another command has been changing {self.path} for {_LOCK_SECONDS:g} s.") from error
        except OSError as error:
            raise InvalidRequest(f"{error.filename or self.path} cannot be written: {error.strerror}.") from error

    def _read(self) -> pb.TokenFile:
        try:
            return json_format.Parse(self.path.read_bytes(), pb.TokenFile())
        except FileNotFoundError:
            return pb.TokenFile()
        except OSError as error:
            raise InvalidRequest(f"{self.path} cannot be read: {error.strerror}.") from error
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"{self.path} is not a token file: {error}") from error


_IDS = "It has lower-case letters, digits and hyphens, and begins with a letter."


def _expired_before(token: pb.AccessToken, time: datetime) -> bool:
    return token.HasField("expire_time") and token.expire_time.ToDatetime(UTC) < time


def _keep(file: pb.TokenFile, tokens: Sequence[pb.AccessToken]) -> None:
    del file.tokens[:]
    file.tokens.extend(tokens)


def _write(path: Path, text: str) -> None:
    """Replace a file in one step; a new one is private, and an existing one keeps its owner and its mode."""
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    replace_file(path, text.encode(), like=found)
