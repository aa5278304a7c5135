"""What each RPC of the gateway needs: a role, and which fields of its request name the collection.

Images over HTTP (`gateway.web.images`) are downloads like DownloadImage, with its rule.
"""

from __future__ import annotations

from gateway.collections.names import DEFAULT_COLLECTION
from serving.access.rules import Rule, Rules
from serving.callers import Role


def _of(role: Role, *collections: str, if_set: tuple[str, ...] = ()) -> Rule:
    return Rule(role, collections, DEFAULT_COLLECTION, if_set)


_SEARCH: Rules = {
    "SearchByText": _of(Role.READ, "collection"),
    "SearchByImage": _of(Role.READ, "collection"),
    "CountMatches": _of(Role.READ, "by_text.collection", "by_image.collection"),
    # An image that comes with the request belongs to no collection.
    "TagImage": _of(Role.READ, "collection", if_set=("image_id", "image_ids")),
    "SimilarWords": Rule(Role.READ),
}
_GALLERY: Rules = {
    "IndexImages": _of(Role.WRITE, "config.collection"),
    "BatchIndexImages": _of(Role.WRITE, "collection"),
    "GetImage": _of(Role.READ, "collection"),
    "ListImages": _of(Role.READ, "collection"),
    "CountImages": _of(Role.READ, "collection"),
    "DeleteImages": _of(Role.WRITE, "collection"),
    "UpdateImage": _of(Role.WRITE, "image.collection"),
    "DownloadImage": _of(Role.READ, "collection"),
    "FindDuplicates": _of(Role.READ, "collection"),
    # So that who may write may also begin: `semsearch sync` creates the collection that it fills.
    "CreateCollection": _of(Role.WRITE, "collection_id"),
    "GetCollection": _of(Role.READ, "collection_id"),
    # Lists those that the caller may use.
    "ListCollections": Rule(Role.READ),
    "RenameCollection": _of(Role.ADMIN, "collection_id", "new_collection_id"),
    "DeleteCollection": _of(Role.ADMIN, "collection_id"),
}
_MAPS: Rules = {
    "GetMap": _of(Role.READ, "collection"),
    # Takes minutes of processor time.
    "ComputeMap": _of(Role.WRITE, "collection"),
    "CancelMap": _of(Role.WRITE, "collection"),
    "StreamMap": _of(Role.READ, "collection"),
}
_MODELS: Rules = {
    "ListModels": Rule(Role.READ),
    "GetModel": Rule(Role.READ),
    "ListRecipes": Rule(Role.READ),
    "PullModel": Rule(Role.ADMIN, whole_suite=True),
    "ActivateModel": Rule(Role.ADMIN, whole_suite=True),
}
_BACKUPS: Rules = {
    name: Rule(Role.ADMIN, whole_suite=True)
    for name in ("CreateBackup", "ListBackups", "VerifyBackup", "PruneBackups", "RestoreBackup")
}

# Service and method of logging in at the page, which is no RPC: any caller may.
LOG_IN = ("semsearch.http", "LogIn")

RULES: Rules = {
    ".".join(LOG_IN): Rule(Role.READ),
    **{
        f"semsearch.v1.{service}.{method}": rule
        for service, rules in (
            ("SearchService", _SEARCH),
            ("GalleryService", _GALLERY),
            ("MapService", _MAPS),
            ("ModelService", _MODELS),
            ("BackupService", _BACKUPS),
            ("LimitsService", {"GetLimits": Rule(Role.READ)}),
        )
        for method, rule in rules.items()
    },
}
