"""Records: small values with versions, each replaced only by a writer that knows its present version."""

from __future__ import annotations

import threading

from index_service.coordination.database import Database, StoredRecord
from index_service.coordination.errors import RecordChanged


class Records:
    """The records of a data folder; thread-safe. All methods wait for the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()

    def get(self, name: str) -> StoredRecord:
        """Return a record; one that was never written has version 0 and an empty value."""
        return self._database.record(name)

    def put(self, name: str, value: bytes, expected_version: int) -> int:
        """Replace a record and return its new version; it is on disk when this returns.

        Raises:
            RecordChanged: the record does not have the expected version.
            TooManyNames: there are too many records.
            StorageFull: it cannot be written; the record is unchanged.
        """
        with self._lock:
            version = self._database.record(name).version
            if version != expected_version:
                raise RecordChanged(name, version)
            self._database.put_record(StoredRecord(name, value, version + 1))
            return version + 1
