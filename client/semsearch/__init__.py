"""Search and tag images by meaning: the Python client of semsearch, and the `semsearch` command.

    from semsearch import Client

    with Client("127.0.0.1:50051") as client:
        for match in client.search_by_text("beach -dog"):
            print(match.relevance, match.image.id)

`AsyncClient` has the same methods for asyncio. The names in `__all__` and the generated modules `semsearch.v1` are the
public interface; the rest may change.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semsearch.async_client import AsyncClient
    from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client
    from semsearch.errors import (
        AccessDenied,
        AlreadyExists,
        DownloadFailed,
        ErrorDetails,
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
    from semsearch.filters import Condition, Field, Where, taken
    from semsearch.image_sources import ImageContent, ImageSource
    from semsearch.index_operations import AsyncIndexOperations, IndexOperations
    from semsearch.listing import AsyncListing, Listing
    from semsearch.transport.retries import Retries
    from semsearch.transport.tls import Tls
    from semsearch.values import (
        Attributes,
        Backup,
        BackupCheck,
        BackupProgress,
        CallerQuota,
        Collection,
        CollectionMap,
        CropBox,
        Deletion,
        DuplicatesProgress,
        Image,
        ImageMatch,
        ImageMatches,
        ImageTerm,
        JsonValue,
        Limit,
        Limits,
        MapPlaces,
        MapProgress,
        MapRegion,
        MapState,
        MatchCounts,
        Model,
        PrunedBackups,
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
    # Where the names are: imported on first use, since the messages alone need neither the client nor gRPC.
    # The client comes first: it loads most of the others, but not asyncio's twin.
    _MODULES = (
        "semsearch.client",
        "semsearch.errors",
        "semsearch.values",
        "semsearch.filters",
        "semsearch.image_sources",
        "semsearch.listing",
        "semsearch.transport.retries",
        "semsearch.transport.tls",
        "semsearch.async_client",
        "semsearch.index_operations",
    )

    def __getattr__(name: str) -> object:
        """Import a public name on first use."""
        from importlib import import_module

        if name in __all__:
            for module in map(import_module, _MODULES):
                if hasattr(module, name):
                    globals()[name] = found = getattr(module, name)
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *__all__]


__all__ = [
    "DEFAULT_COLLECTION",
    "DEFAULT_SERVER",
    "AccessDenied",
    "AlreadyExists",
    "AsyncClient",
    "AsyncIndexOperations",
    "AsyncListing",
    "Attributes",
    "Backup",
    "BackupCheck",
    "BackupProgress",
    "CallerQuota",
    "Client",
    "Collection",
    "CollectionMap",
    "Condition",
    "CropBox",
    "Deletion",
    "DownloadFailed",
    "DuplicatesProgress",
    "ErrorDetails",
    "Field",
    "FolderStopped",
    "Image",
    "ImageContent",
    "ImageMatch",
    "ImageMatches",
    "ImageSource",
    "ImageTerm",
    "IndexOperations",
    "InvalidRequest",
    "JsonValue",
    "Limit",
    "Limits",
    "Listing",
    "MapPlaces",
    "MapProgress",
    "MapRegion",
    "MapState",
    "MatchCounts",
    "Model",
    "NotFound",
    "Overloaded",
    "PrunedBackups",
    "PullProgress",
    "Recipe",
    "Retries",
    "SemsearchError",
    "ServerFailed",
    "ServerNotReady",
    "ServerUnreachable",
    "SwitchProgress",
    "Tag",
    "Tags",
    "Term",
    "TimedOut",
    "Tls",
    "UnderstoodTerm",
    "UnknownWord",
    "Upload",
    "UploadResult",
    "Where",
    "WordMatch",
    "WordMatches",
    "WrongState",
    "taken",
]
