"""The page of error reasons, from the enum of the protos, the services' error tables, and the client's hints."""

from __future__ import annotations

import re
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from semsearch.rpc_errors import HINTS

from docs_site.markdown import code, prose, table

_FILE = "semsearch/v1/error_reason.proto"
_PREFIX = "ERROR_REASON_"
_TABLES = {
    "gateway": "gateway/api/statuses.py",
    "embedder": "embedder_service/statuses.py",
    "index": "index_service/api/statuses.py",
    "any": "serving/errors.py",
}
_ANY = "any"
_INTRODUCTION = """# Error reasons

Every error is a gRPC status with details of `google.rpc` ([AIP-193](https://google.aip.dev/193)): `ErrorInfo` with the
domain `semsearch` and one of these reasons, `BadRequest` with the fields that are wrong, `RetryInfo` if trying again
helps, `ResourceInfo` with the missing resource. Programs should test the reason: it never changes, and messages may.
Errors of the index and the embedder that concern the caller pass through the gateway as they are.

The Python client raises an exception for each code (`semsearch.errors`), with the reason in `error.reason`.
"""


def page(root: Path, descriptors: Path) -> str:
    """Return the page; `root` is the checkout."""
    sources = {service: (root / file).read_text(encoding="utf-8") for service, file in _TABLES.items()}
    rows = []
    for name, comment in _reasons(descriptors):
        code_name, colon, meaning = comment.partition(": ")
        if not colon:
            continue
        by = [service for service, text in sources.items() if re.search(rf"\b{name}\b", text)]
        by = [_ANY] if _ANY in by else by
        reason = name.removeprefix(_PREFIX)
        hint = f" {HINTS[reason]}" if reason in HINTS else ""
        rows.append([code(reason), code(code_name), ", ".join(by), prose(meaning[:1].upper() + meaning[1:] + hint)])
    return "\n".join([_INTRODUCTION, table(["reason", "code", "from", "meaning"], rows)])


def _reasons(descriptors: Path) -> list[tuple[str, str]]:
    """Return the values of the enum with their comments."""
    found = FileDescriptorSet.FromString(descriptors.read_bytes())
    (file,) = (each for each in found.file if each.name == _FILE)
    (enum,) = file.enum_type
    comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
    return [(value.name, " ".join(comments.get((5, 0, 2, n), "").split())) for n, value in enumerate(enum.value)]
