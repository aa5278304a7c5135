"""How the gateway's methods are admitted under load (serving/admission_gate.py)."""

from __future__ import annotations

from serving.admission_gate import MethodLanes
from serving.lanes import Lane

METHOD_LANES = MethodLanes(
    limited={
        "semsearch.v1.SearchService/SearchByText": Lane.INTERACTIVE,
        "semsearch.v1.SearchService/SearchByImage": Lane.INTERACTIVE,
        "semsearch.v1.SearchService/CountMatches": Lane.INTERACTIVE,
        "semsearch.v1.SearchService/TagImage": Lane.INTERACTIVE,
        "semsearch.v1.SearchService/SimilarWords": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/GetImage": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/ListImages": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/CountImages": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/UpdateImage": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/BatchIndexImages": Lane.BULK,
    },
    unlimited={
        # A stream is read as fast as its images are stored.
        "semsearch.v1.GalleryService/IndexImages": Lane.BULK,
        "semsearch.v1.GalleryService/DownloadImage": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/FindDuplicates": Lane.INTERACTIVE,
        "semsearch.v1.MapService/ComputeMap": Lane.INTERACTIVE,
        "semsearch.v1.MapService/StreamMap": Lane.INTERACTIVE,
        "semsearch.v1.ModelService/PullModel": Lane.INTERACTIVE,
        "semsearch.v1.ModelService/ActivateModel": Lane.INTERACTIVE,
        "semsearch.v1.BackupService/CreateBackup": Lane.BULK,
        "semsearch.v1.BackupService/VerifyBackup": Lane.BULK,
        "semsearch.v1.BackupService/RestoreBackup": Lane.BULK,
        # Rare, and some take long.
        "semsearch.v1.GalleryService/DeleteImages": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/CreateCollection": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/GetCollection": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/ListCollections": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/RenameCollection": Lane.INTERACTIVE,
        "semsearch.v1.GalleryService/DeleteCollection": Lane.INTERACTIVE,
        "semsearch.v1.MapService/GetMap": Lane.INTERACTIVE,
        "semsearch.v1.MapService/CancelMap": Lane.INTERACTIVE,
        "semsearch.v1.ModelService/ListModels": Lane.INTERACTIVE,
        "semsearch.v1.ModelService/GetModel": Lane.INTERACTIVE,
        "semsearch.v1.ModelService/ListRecipes": Lane.INTERACTIVE,
        # Little work, and asked for under load too.
        "semsearch.v1.LimitsService/GetLimits": Lane.INTERACTIVE,
        "semsearch.v1.BackupService/ListBackups": Lane.INTERACTIVE,
        "semsearch.v1.BackupService/PruneBackups": Lane.INTERACTIVE,
    },
)
