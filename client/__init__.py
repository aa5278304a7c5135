"""Python client of the gateway, and the `semsearch` command.

    from client import SemsearchClient

    with SemsearchClient("127.0.0.1:50051") as client:
        for match in client.search_by_text("beach -dog").matches:
            print(match.relevance, match.image.id)

What is listed in `__all__` is the public surface; everything else may change.
"""

from client.errors import (
    AlreadyExists,
    InvalidRequest,
    NotFound,
    Overloaded,
    SemsearchError,
    ServerFailed,
    ServerNotReady,
    ServerUnreachable,
    TimedOut,
    WrongState,
)
from client.results import (
    Collection,
    Deletion,
    Image,
    ImageMatch,
    ImageMatches,
    Model,
    PullProgress,
    SwitchProgress,
    Tag,
    Tags,
    UnderstoodTerm,
    UnknownWord,
    UploadResult,
    WordMatch,
    WordMatches,
)
from client.search import CropBox, Term
from client.semsearch_client import DEFAULT_COLLECTION, DEFAULT_SERVER, SemsearchClient
from client.upload_stream import Upload

__all__ = [
    "DEFAULT_COLLECTION",
    "DEFAULT_SERVER",
    "AlreadyExists",
    "Collection",
    "CropBox",
    "Deletion",
    "Image",
    "ImageMatch",
    "ImageMatches",
    "InvalidRequest",
    "Model",
    "NotFound",
    "Overloaded",
    "PullProgress",
    "SemsearchClient",
    "SemsearchError",
    "ServerFailed",
    "ServerNotReady",
    "ServerUnreachable",
    "SwitchProgress",
    "Tag",
    "Tags",
    "Term",
    "TimedOut",
    "UnderstoodTerm",
    "UnknownWord",
    "Upload",
    "UploadResult",
    "WordMatch",
    "WordMatches",
    "WrongState",
]
