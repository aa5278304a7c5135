"""The answers to a stream of images."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ingest.plan import Step


@dataclass(frozen=True)
class UploadResult:
    """An upload's result; `error` says why it was refused, `duplicate_of` names the existing image."""

    sequence: int
    id: str
    error: Exception | None = None
    duplicate_of: str = ""


@dataclass(frozen=True)
class Acknowledgement:
    """Results of some uploads; all up to and including `durable_sequence` have been answered, here or before."""

    results: tuple[UploadResult, ...]
    durable_sequence: int


def result_of(step: Step) -> UploadResult:
    """Return the result of a completed step's upload."""
    entry = step.entry
    error = step.error or (entry.error if entry else None)
    if error is not None or entry is None:
        return UploadResult(step.upload.sequence, "", error)
    return UploadResult(step.upload.sequence, entry.id, duplicate_of=entry.id if step.duplicate else "")
