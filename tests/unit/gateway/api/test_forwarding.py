"""Which methods are passed on to the process that makes changes."""

from __future__ import annotations

import importlib
import pkgutil

import semsearch.v1

from gateway.api.forwarding import CHANGES, OF_WORDS, REPEATABLE

# Methods that any process answers: they change nothing that a gateway keeps.
READS = {
    "semsearch.v1.SearchService.SearchByText",
    "semsearch.v1.SearchService.SearchByImage",
    "semsearch.v1.SearchService.CountMatches",
    "semsearch.v1.GalleryService.GetImage",
    "semsearch.v1.GalleryService.ListImages",
    "semsearch.v1.GalleryService.CountImages",
    "semsearch.v1.GalleryService.DownloadImage",
    "semsearch.v1.GalleryService.FindDuplicates",
    "semsearch.v1.GalleryService.GetCollection",
    "semsearch.v1.GalleryService.ListCollections",
    "semsearch.v1.BackupService.ListBackups",
    "semsearch.v1.BackupService.VerifyBackup",
    "semsearch.v1.LimitsService.GetLimits",
    "semsearch.v1.ModelService.ListModels",
    "semsearch.v1.ModelService.GetModel",
    "semsearch.v1.ModelService.ListRecipes",
    "semsearch.v1.ModelService.PullModel",
}


def test_every_method_is_a_read_or_a_change() -> None:
    names = [each.name for each in pkgutil.iter_modules(semsearch.v1.__path__) if each.name.endswith("_service_pb2")]
    methods = {
        method.full_name
        for name in names
        for service in importlib.import_module(f"semsearch.v1.{name}").DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert methods == READS | CHANGES | OF_WORDS
    assert not READS & (CHANGES | OF_WORDS)
    assert REPEATABLE <= CHANGES
