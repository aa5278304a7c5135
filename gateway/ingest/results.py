"""What the sender of a stream of images is told."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ingest.plan import Step


@dataclass(frozen=True)
class UploadResult:
    """What became of an upload; `error` says why it was refused, `duplicate_of` names the image that was there."""

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
    """Return what became of the upload of a step that was taken."""
    entry = step.entry
    error = step.error or (entry.error if entry else None)
    if error is not None or entry is None:
        return UploadResult(step.upload.sequence, "", error)
    return UploadResult(step.upload.sequence, entry.id, duplicate_of=entry.id if step.duplicate else "")
