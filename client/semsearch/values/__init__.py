"""The arguments and results of calls: frozen values without gRPC."""

from semsearch.values.backups import Backup, BackupCheck, BackupProgress, PrunedBackups
from semsearch.values.images import (
    Attributes,
    Collection,
    Deletion,
    DuplicatesProgress,
    Image,
    JsonValue,
    Scalar,
    Upload,
    UploadResult,
)
from semsearch.values.limits import CallerQuota, Limit, Limits
from semsearch.values.maps import CollectionMap, MapPlaces, MapProgress, MapRegion, MapState
from semsearch.values.matches import ImageMatch, ImageMatches, MatchCounts, Tag, Tags, WordMatch, WordMatches
from semsearch.values.models import Model, PullProgress, Recipe, SwitchProgress
from semsearch.values.queries import CropBox, ImageTerm, Term, UnderstoodTerm, UnknownWord

__all__ = [
    "Attributes",
    "Backup",
    "BackupCheck",
    "BackupProgress",
    "CallerQuota",
    "Collection",
    "CollectionMap",
    "CropBox",
    "Deletion",
    "DuplicatesProgress",
    "Image",
    "ImageMatch",
    "ImageMatches",
    "ImageTerm",
    "JsonValue",
    "Limit",
    "Limits",
    "MapPlaces",
    "MapProgress",
    "MapRegion",
    "MapState",
    "MatchCounts",
    "Model",
    "PrunedBackups",
    "PullProgress",
    "Recipe",
    "Scalar",
    "SwitchProgress",
    "Tag",
    "Tags",
    "Term",
    "UnderstoodTerm",
    "UnknownWord",
    "Upload",
    "UploadResult",
    "WordMatch",
    "WordMatches",
]
