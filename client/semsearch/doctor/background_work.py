"""The background work of the services, whose health they report as `<service>/<work>`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackgroundWork:
    """Background work of a service, and what it means for users if it fails."""

    service: str
    name: str
    if_it_fails: str

    @property
    def health_name(self) -> str:
        """Its name in the health service."""
        return f"{self.service}/{self.name}"


_GATEWAY, _EMBEDDER, _INDEX = (
    "semsearch.v1.",
    "semsearch.embedder.v1.EmbedderService",
    "semsearch.index.v1.IndexService",
)
WORKS = (
    BackgroundWork(f"{_GATEWAY}SearchService", "words", "words of the model are missing: tags and similar words fail"),
    BackgroundWork(f"{_GATEWAY}GalleryService", "default-collection", "the default collection does not exist yet"),
    BackgroundWork(f"{_GATEWAY}GalleryService", "following-index", "the gateway does not reach the index"),
    BackgroundWork(f"{_GATEWAY}GalleryService", "lease", "no gateway may be making changes: adding images fails"),
    BackgroundWork(f"{_GATEWAY}GalleryService", "page-key", "no further pages of results can be fetched"),
    BackgroundWork(f"{_GATEWAY}GalleryService", "sweeping", "files of deleted images stay on the disk"),
    BackgroundWork(
        f"{_GATEWAY}GalleryService", "image-store", "images cannot be added, and only cached ones are shown"
    ),
    BackgroundWork(f"{_GATEWAY}MapService", "mapping", "maps of collections are not computed"),
    BackgroundWork(f"{_GATEWAY}ModelService", "following-embedder", "the gateway does not reach the embedder"),
    BackgroundWork(f"{_GATEWAY}ModelService", "preparing-embedders", "an embedder lacks the serving model"),
    BackgroundWork(f"{_GATEWAY}ModelService", "switching", "a switch to another model does not advance"),
    BackgroundWork(_EMBEDDER, "following-choice", "the embedder does not follow a choice of another model"),
    BackgroundWork(_INDEX, "merging", "new rows are not merged into segments: searches become slower"),
    BackgroundWork(_INDEX, "publishing", "read replicas get no changes and stop answering"),
    BackgroundWork(_INDEX, "following", "the read replica gets no changes and stops answering"),
    BackgroundWork(_INDEX, "weaviate", "the Weaviate cluster does not answer: its indexes cannot be used"),
    BackgroundWork(_INDEX, "weaviate-recall", "the recall of indexes in Weaviate is not measured"),
)
