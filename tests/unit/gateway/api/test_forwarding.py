"""Which methods are passed on to the process that makes changes."""

from __future__ import annotations

from semsearch.v1 import gallery_service_pb2, map_service_pb2, model_service_pb2, search_service_pb2

from gateway.api.forwarding import CHANGES, OF_WORDS, REPEATABLE

FILES = (search_service_pb2, gallery_service_pb2, map_service_pb2, model_service_pb2)
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
    "semsearch.v1.ModelService.ListModels",
    "semsearch.v1.ModelService.GetModel",
    "semsearch.v1.ModelService.ListRecipes",
    "semsearch.v1.ModelService.PullModel",
}


def test_every_method_is_a_read_or_a_change() -> None:
    methods = {
        method.full_name
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert methods == READS | CHANGES | OF_WORDS
    assert not READS & (CHANGES | OF_WORDS)
    assert REPEATABLE <= CHANGES
