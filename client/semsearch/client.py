"""The client of a gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from google.protobuf import field_mask_pb2

from semsearch import translate
from semsearch.connection import DEFAULT_TIMEOUT_SECONDS, Connection
from semsearch.json_values import struct_of
from semsearch.rpc_errors import GATEWAY
from semsearch.upload_stream import UploadStream
from semsearch.v1 import gallery_service_pb2 as gallery_pb
from semsearch.v1 import gallery_service_pb2_grpc, image_pb2, model_service_pb2_grpc, search_service_pb2_grpc
from semsearch.v1 import model_service_pb2 as model_pb
from semsearch.v1 import search_service_pb2 as search_pb
from semsearch.values import (
    Attributes,
    Collection,
    CropBox,
    Deletion,
    DuplicatesProgress,
    Equal,
    Image,
    ImageMatches,
    ImageTerm,
    Model,
    PullProgress,
    Recipe,
    SwitchProgress,
    Tags,
    Term,
    Upload,
    UploadResult,
    WordMatches,
)

DEFAULT_SERVER = "127.0.0.1:50051"
DEFAULT_COLLECTION = "gallery"
_PAGE_SIZE = 1_000
# A stream lives as long as it has work; this deadline ends one that both sides have abandoned.
_UPLOAD_SECONDS = 24 * 3600.0
# Millions of images.
_DUPLICATES_SECONDS = 3600.0
# Hundreds of megabytes over a slow line.
_PULL_SECONDS = 24 * 3600.0
# A million images through a large network.
_SWITCH_SECONDS = 30 * 24 * 3600.0


class Client(Connection):
    """A client of a gateway; safe to use from several threads. Every method raises `SemsearchError`.

    `collection` "" means the default collection. `equal` maps an attribute to its value, or to a list of values that it
    may have. `taken` is when a photo was taken: a year, a month, a day or a time, or two of them as
    "2024-06..2024-08"; either may be left out. If `min_relevance` is None, the server's own threshold applies; 0 keeps
    everything. `page_size` 0 means the server's default, 20. A page token is valid until the collection is switched to
    another model, deleted or emptied. `distinct` leaves out images that show the same picture as a nearer match.
    """

    def __init__(self, server: str = DEFAULT_SERVER, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Name the gateway ("host:port") and how long a call may take."""
        super().__init__(server, GATEWAY, timeout_seconds)
        self._search = search_service_pb2_grpc.SearchServiceStub(self.channel)
        self._gallery = gallery_service_pb2_grpc.GalleryServiceStub(self.channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def search_by_text(
        self,
        query: str,
        *,
        collection: str = "",
        page_size: int = 0,
        page_token: str = "",
        min_relevance: float | None = None,
        equal: Equal | None = None,
        taken: str = "",
        distinct: bool = False,
    ) -> ImageMatches:
        """Find the images nearest to words: `cat sofa`, `"sports car"`, `-dog`, `beach^0.5`, `a photo of a dog`."""
        request = search_pb.SearchByTextRequest(
            query=query,
            collection=collection,
            page_size=page_size,
            page_token=page_token,
            min_relevance=min_relevance,
            filter=translate.filter_of(equal, taken=taken),
            distinct=distinct,
        )
        return translate.image_matches(self.call(self._search.SearchByText, request))

    def search_by_image(
        self,
        image: bytes | str | Sequence[ImageTerm],
        *,
        crop: CropBox | None = None,
        terms: Sequence[Term] = (),
        collection: str = "",
        page_size: int = 0,
        page_token: str = "",
        min_relevance: float | None = None,
        equal: Equal | None = None,
        taken: str = "",
        distinct: bool = False,
    ) -> ImageMatches:
        """Find the images nearest to an image (its bytes, or a stored one's id), plus or minus words.

        Pass several images as a list of `ImageTerm`, each with its own weight and crop.
        """
        request = search_pb.SearchByImageRequest(
            crop=translate.crop_of(crop),
            terms=map(translate.term_of, terms),
            collection=collection,
            page_size=page_size,
            page_token=page_token,
            min_relevance=min_relevance,
            filter=translate.filter_of(equal, taken=taken),
            distinct=distinct,
        )
        if isinstance(image, list | tuple):
            request.images.extend(map(translate.image_term_of, image))
        else:
            translate.set_source(request, image)
        return translate.image_matches(self.call(self._search.SearchByImage, request))

    def tag_image(
        self,
        image: bytes | str,
        *,
        crop: CropBox | None = None,
        labels: Sequence[str] = (),
        max_tags: int = 0,
        min_relevance: float | None = None,
        collection: str = "",
    ) -> Tags:
        """Name what an image (its bytes, or a stored one's id) shows: any word, or the best of `labels`."""
        request = search_pb.TagImageRequest(
            crop=translate.crop_of(crop),
            labels=labels,
            max_tags=max_tags,
            min_relevance=min_relevance,
            collection=collection,
        )
        translate.set_source(request, image)
        return translate.tags(self.call(self._search.TagImage, request))

    def similar_words(self, query: str, *, page_size: int = 0, page_token: str = "") -> WordMatches:
        """Find the words nearest to words: `king -man woman`."""
        request = search_pb.SimilarWordsRequest(query=query, page_size=page_size, page_token=page_token)
        return translate.word_matches(self.call(self._search.SimilarWords, request))

    def index_images(self, uploads: Iterable[Upload], *, collection: str = "") -> Iterator[UploadResult]:
        """Add images; yield the result of each, in order, as soon as the image is durable and searchable.

        One bad image does not end the stream. Images whose results were yielded stay, even if the iteration ends early
        or fails.
        """
        stream = UploadStream(uploads, collection)
        call = self._gallery.IndexImages(iter(stream), timeout=_UPLOAD_SECONDS)
        try:
            with self.translated_errors():
                for response in call:
                    for result in response.results:
                        stream.answered(result.sequence)
                        yield translate.upload_result(result)
            stream.raise_fault()
        finally:
            stream.close()
            call.cancel()

    def get_image(self, image_id: str, *, collection: str = "") -> Image:
        """Return an image's description."""
        request = gallery_pb.GetImageRequest(id=image_id, collection=collection)
        return translate.image(self.call(self._gallery.GetImage, request).image)

    def list_images(
        self,
        *,
        collection: str = "",
        equal: Equal | None = None,
        present: Sequence[str] = (),
        taken: str = "",
        page_size: int = 1_000,
    ) -> Iterator[Image]:
        """Yield the images of a collection, oldest first; pages are fetched on demand, one ahead.

        Images that lack one of the attributes in `present` are left out.
        """
        request = gallery_pb.ListImagesRequest(
            collection=collection, page_size=page_size, filter=translate.filter_of(equal, present, taken)
        )
        for page in self.pages(self._gallery.ListImages, request):
            yield from map(translate.image, page.images)

    def images_of_sha256(self, prefix: str, *, collection: str = "", page_size: int = 1_000) -> Iterator[Image]:
        """Yield the images whose SHA-256 begins with these hexadecimal digits."""
        request = gallery_pb.ListImagesRequest(
            collection=collection, page_size=page_size, filter=translate.sha256_filter(prefix)
        )
        for page in self.pages(self._gallery.ListImages, request):
            yield from map(translate.image, page.images)

    def delete_images(self, ids: Sequence[str], *, collection: str = "") -> Deletion:
        """Delete up to 1,000 images; unknown ids are not an error."""
        response = self.call(self._gallery.DeleteImages, gallery_pb.DeleteImagesRequest(ids=ids, collection=collection))
        return Deletion(response.deleted_count, tuple(response.unknown_ids))

    def update_image(
        self, image_id: str, attributes: Attributes, *, only: Sequence[str] = (), collection: str = ""
    ) -> Image:
        """Replace all attributes of an image, or those named in `only`; one that `attributes` lacks is removed."""
        image = image_pb2.Image(id=image_id, collection=collection, attributes=struct_of(attributes, "attributes"))
        mask = field_mask_pb2.FieldMask(paths=[f"attributes.{translate.path_of(name)}" for name in only])
        request = gallery_pb.UpdateImageRequest(image=image, update_mask=mask)
        return translate.image(self.call(self._gallery.UpdateImage, request).image)

    def download_image(self, image_id: str, *, collection: str = "", thumbnail: bool = False) -> bytes:
        """Return an image's original bytes, or its WebP thumbnail."""
        rendition = gallery_pb.RENDITION_THUMBNAIL if thumbnail else gallery_pb.RENDITION_ORIGINAL
        request = gallery_pb.DownloadImageRequest(id=image_id, collection=collection, rendition=rendition)
        with self.translated_errors():
            return b"".join(part.chunk for part in self._gallery.DownloadImage(request, timeout=self.timeout_seconds))

    def find_duplicates(self, *, collection: str = "") -> Iterator[DuplicatesProgress]:
        """Find images that show the same picture; yield the progress, with the groups as they are found."""
        request = gallery_pb.FindDuplicatesRequest(collection=collection)
        return self.stream(self._gallery.FindDuplicates, request, _DUPLICATES_SECONDS, translate.DuplicatesTranslator())

    def create_collection(self, collection: str, *, display_name: str = "") -> Collection:
        """Create a collection."""
        request = gallery_pb.CreateCollectionRequest(collection_id=collection, display_name=display_name)
        return translate.collection(self.call(self._gallery.CreateCollection, request).collection)

    def get_collection(self, collection: str) -> Collection:
        """Return a collection's description."""
        request = gallery_pb.GetCollectionRequest(collection_id=collection)
        return translate.collection(self.call(self._gallery.GetCollection, request).collection)

    def list_collections(self) -> Iterator[Collection]:
        """Yield the collections by id."""
        request = gallery_pb.ListCollectionsRequest(page_size=_PAGE_SIZE)
        for page in self.pages(self._gallery.ListCollections, request):
            yield from map(translate.collection, page.collections)

    def rename_collection(self, collection: str, new: str) -> Collection:
        """Give a collection another id; the default one keeps its id."""
        request = gallery_pb.RenameCollectionRequest(collection_id=collection, new_collection_id=new)
        return translate.collection(self.call(self._gallery.RenameCollection, request).collection)

    def delete_collection(self, collection: str) -> int:
        """Delete a collection and return how many images it had; the default one is emptied and stays."""
        request = gallery_pb.DeleteCollectionRequest(collection_id=collection)
        return self.call(self._gallery.DeleteCollection, request).deleted_image_count

    def get_model(self, model_id: str = "") -> Model:
        """Return a model's description; "" means the active model."""
        return translate.model(self.call(self._models.GetModel, model_pb.GetModelRequest(id=model_id)).model)

    def list_models(self) -> Iterator[Model]:
        """Yield the models that can be served, by id."""
        for page in self.pages(self._models.ListModels, model_pb.ListModelsRequest()):
            yield from map(translate.model, page.models)

    def list_recipes(self) -> list[Recipe]:
        """Return the recipes that models can be built from, by name."""
        return [*map(translate.recipe, self.call(self._models.ListRecipes, model_pb.ListRecipesRequest()).recipes)]

    def pull_model(self, recipe: str) -> Iterator[PullProgress]:
        """Build a model from one of the server's recipes; yield the progress, with the model at the end.

        A pull that ended early, or failed, resumes when it is called again.
        """
        request = model_pb.PullModelRequest(recipe=recipe)
        return self.stream(self._models.PullModel, request, _PULL_SECONDS, translate.pull_progress)

    def activate_model(self, model_id: str) -> Iterator[SwitchProgress]:
        """Switch to a model; yield the progress, with the model at the end.

        `model_id` may be the part before "@" if only one model has it. If the iteration ends early, the switch
        continues in the server; calling again joins it.
        """
        request = model_pb.ActivateModelRequest(id=model_id)
        return self.stream(self._models.ActivateModel, request, _SWITCH_SECONDS, translate.switch_progress)
