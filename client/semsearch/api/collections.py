"""Collections of images."""

from __future__ import annotations

from semsearch import translate
from semsearch.transport.calls import Call
from semsearch.transport.methods import listed, unary
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.values import Collection


class CollectionMethods:
    """The methods of GalleryService about collections."""

    @unary
    def create_collection(
        self, collection: str, *, display_name: str = "", timeout: float | None = None
    ) -> Call[Collection]:
        """Create a collection.

        >>> client.create_collection("travel", display_name="Our travels").image_count
        0
        >>> client.rename_collection("travel", "journeys").display_name
        'Our travels'
        >>> [each.id for each in client.list_collections()]
        ['gallery', 'journeys']
        >>> client.delete_collection("journeys")
        0
        """
        request = pb.CreateCollectionRequest(collection_id=collection, display_name=display_name)
        # A repeated call would find the collection that the first one made.
        return Call(request, lambda response: translate.collection(response.collection), timeout, repeatable=False)

    @unary
    def get_collection(self, collection: str, *, timeout: float | None = None) -> Call[Collection]:
        """Return a collection's description, with the size of its images on disk."""
        request = pb.GetCollectionRequest(collection_id=collection)
        return Call(request, lambda response: translate.collection(response.collection), timeout)

    @listed
    def list_collections(self, *, page_size: int = 1_000, timeout: float | None = None) -> Call[tuple[Collection, ...]]:
        """Iterate over the collections by id."""
        request = pb.ListCollectionsRequest(page_size=page_size)
        return Call(request, lambda response: tuple(map(translate.collection, response.collections)), timeout)

    @unary
    def rename_collection(self, collection: str, new: str, *, timeout: float | None = None) -> Call[Collection]:
        """Give a collection another id; the default one keeps its id."""
        request = pb.RenameCollectionRequest(collection_id=collection, new_collection_id=new)
        return Call(request, lambda response: translate.collection(response.collection), timeout, repeatable=False)

    @unary
    def delete_collection(self, collection: str, *, timeout: float | None = None) -> Call[int]:
        """Delete a collection and return how many images it had; the default one is emptied and stays."""
        request = pb.DeleteCollectionRequest(collection_id=collection)
        return Call(request, lambda response: int(response.deleted_image_count), timeout, repeatable=False)
