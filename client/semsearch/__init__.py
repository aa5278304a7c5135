"""Search and tag images by meaning: the Python client of semsearch, and the `semsearch` command.

    from semsearch import Client

    with Client("127.0.0.1:50051") as client:
        for match in client.search_by_text("beach -dog").matches:
            print(match.relevance, match.image.id)

The names in `__all__` and the generated modules `semsearch.v1` are the public interface; the rest may change.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client
    from semsearch.errors import (
        AlreadyExists,
        FolderStopped,
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
    from semsearch.values import (
        Collection,
        CropBox,
        Deletion,
        DuplicatesProgress,
        Image,
        ImageMatch,
        ImageMatches,
        ImageTerm,
        Model,
        PullProgress,
        Recipe,
        SwitchProgress,
        Tag,
        Tags,
        Term,
        UnderstoodTerm,
        UnknownWord,
        Upload,
        UploadResult,
        WordMatch,
        WordMatches,
    )
else:

    def __getattr__(name: str) -> object:
        """Import the client on first use of one of its names: the messages alone need neither it nor gRPC."""
        from importlib import import_module

        if name in __all__:
            for module in map(import_module, ("semsearch.client", "semsearch.errors", "semsearch.values")):
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "DEFAULT_COLLECTION",
    "DEFAULT_SERVER",
    "AlreadyExists",
    "Client",
    "Collection",
    "CropBox",
    "Deletion",
    "DuplicatesProgress",
    "FolderStopped",
    "Image",
    "ImageMatch",
    "ImageMatches",
    "ImageTerm",
    "InvalidRequest",
    "Model",
    "NotFound",
    "Overloaded",
    "PullProgress",
    "Recipe",
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
