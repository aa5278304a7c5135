"""Objects in Google Cloud Storage: gcsfs, with what its version 2026.10 lacks.

1. It puts an object between two lines that the object may contain, which end it early; and a large one in pieces. Here
   the body of one request is the object.
2. It has no timeouts, and repeats a request for half a minute.
3. It tells a missing bucket from a missing object in no way.
4. It asks twice for the size of an object, and lists an empty folder twice.
5. It lists all that is known of each object, 2 kB, where three fields are needed.
6. Without credentials it goes on as an anonymous caller.
7. It fetches tokens in the event loop that all calls share, which then wait.
8. It asks over gRPC for the kind of a bucket before a put. Its older class, which is used here, does not.

Errors: `BucketMissing`, FileNotFoundError (the object), PermissionError (refused, or no credentials), ConnectionError
(away, or refused for now), other OSErrors.

This module can be imported only where gcsfs is installed.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, ClientTimeout
from fsspec.asyn import sync_wrapper
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError, NonRetryableError
from google.auth.exceptions import GoogleAuthError

from serving.object_store import ATTEMPTS, CONNECT_SECONDS, CONNECTIONS, READ_SECONDS, BucketMissing

# With this variable, libraries for Google talk to a server of tests, without credentials.
_EMULATOR = "STORAGE_EMULATOR_HOST"
_REFUSED_FOR_NOW = frozenset({408, 429, 500, 502, 503, 504})
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_OBJECT_MISSING = "No such object"
_FIELDS = "name,size,updated"


class _RefusedForNow(Exception):
    """The same request may succeed in a moment."""


class GoogleFiles(GCSFileSystem):  # type: ignore[misc]
    """The file system of `gs://`; a path is a bucket and a key."""

    def __init__(self, **options: Any) -> None:
        """Find credentials; raises PermissionError if there are none."""
        try:
            super().__init__(
                access="read_write",
                token="anon" if os.environ.get(_EMULATOR) else "google_default",
                requests_timeout=ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
                **options,
            )
        except GoogleAuthError as error:
            problem = str(error).rstrip(".")
            raise PermissionError(f"{problem}. Check the credentials") from error

    async def _pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        bucket, key, _generation = self.split_path(path)
        await self._call(
            "POST",
            f"{self._location}/upload/storage/v1/b/{{}}/o",
            bucket,
            uploadType="media",
            name=key,
            fields="name",
            headers={"Content-Type": "application/octet-stream"},
            data=value,
        )

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        bucket, key, _generation = self.split_path(path)
        return _described(await self._call("GET", "b/{}/o/{}", bucket, key, fields=_FIELDS, json_out=True))

    async def _find(self, path: str, prefix: str = "", **_: Any) -> dict[str, dict[str, Any]]:
        bucket, key, _generation = self.split_path(path)
        start = f"{key}/{prefix}" if key else prefix
        found: dict[str, dict[str, Any]] = {}
        token = None
        while True:
            page = await self._list(
                bucket, prefix=start or None, pageToken=token, fields=f"nextPageToken,items({_FIELDS})"
            )
            found.update((f"{bucket}/{each['name']}", _described(each)) for each in page.get("items", ()))
            token = page.get("nextPageToken")
            if not token:
                return found

    async def _rm_each(self, paths: Iterable[str]) -> None:
        """Delete objects side by side; missing ones are no error."""
        turns = asyncio.Semaphore(CONNECTIONS)

        async def delete(path: str) -> None:
            bucket, key, _generation = self.split_path(path)
            async with turns:
                try:
                    await self._call("DELETE", "b/{}/o/{}", bucket, key)
                except BucketMissing:
                    raise
                except FileNotFoundError:
                    pass

        try:
            async with asyncio.TaskGroup() as deletions:
                for path in paths:
                    deletions.create_task(delete(path))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    rm_each = sync_wrapper(_rm_each)

    async def _list(self, bucket: str, **parameters: Any) -> Mapping[str, Any]:
        """Return a page of a list."""
        page: Mapping[str, Any] = await self._call("GET", "b/{}/o", bucket, json_out=True, **parameters)
        return page

    async def _request(self, method: str, path: str, *args: str, **options: Any) -> tuple[int, Any, Any, bytes]:
        """Return status, headers, request and body of an answer; everything is asked for here."""
        url = self._format_path(path, args)
        for attempt in range(1, ATTEMPTS):
            with suppress(ClientError, _RefusedForNow):
                return await self._answer(method, url, **options)
            await asyncio.sleep(random.random() * 2 ** (attempt - 1))
        try:
            return await self._answer(method, url, **options)
        except (ClientError, _RefusedForNow) as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    async def _answer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        cache_type: None = None,
        cache_source: None = None,
        **parameters: Any,
    ) -> tuple[int, Any, Any, bytes]:
        if self.credentials.credentials is not None:
            await asyncio.to_thread(self._refresh)
        await self._set_session()
        async with self.session.request(
            method,
            url,
            params=self._get_params(parameters),
            headers=self._get_headers(headers),
            data=None if data is None else io.BytesIO(data),
            timeout=self.requests_timeout,
        ) as response:
            content = await response.read()
        if response.status == HTTPStatus.NOT_FOUND:
            await self._raise_missing(url, content)
        if response.status >= HTTPStatus.BAD_REQUEST:
            message = _message(content) or str(response.reason)
            if response.status in _REFUSED_FOR_NOW:
                raise _RefusedForNow(message)
            raise PermissionError(message) if response.status in _REFUSED else OSError(message)
        return response.status, response.headers, response.request_info, content

    async def _raise_missing(self, url: str, content: bytes) -> None:
        """Find out whether the bucket of an object is missing, too."""
        bucket, _, key = url.partition("/b/")[2].partition("/o/")
        if not key:
            raise BucketMissing(bucket.removesuffix("/o"))
        if _OBJECT_MISSING not in _message(content):
            await self._list(bucket, maxResults=1, fields="kind")
        raise FileNotFoundError(key)

    def _refresh(self) -> None:
        """Fetch a new token if the last one ends soon."""
        try:
            self.credentials.maybe_refresh()
        except (HttpError, NonRetryableError) as error:  # what it makes of a RefreshError
            cause = error.__cause__
            if isinstance(cause, GoogleAuthError) and cause.retryable:
                raise ConnectionError(str(cause)) from error
            raise PermissionError(str(cause or error)) from error
        except GoogleAuthError as error:
            raise ConnectionError(str(error)) from error


def _described(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what fsspec says of an object; names that end with "/" are those of folders that a console has made."""
    kind = "directory" if metadata["name"].endswith("/") else "file"
    return {"type": kind, "size": int(metadata["size"]), "updated": metadata["updated"]}


def _message(content: bytes) -> str:
    """Return the message of an error: that of its JSON, or all of it, as for contents of objects."""
    text = content.decode(errors="replace").strip()
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(text)["error"]["message"])
    return text
