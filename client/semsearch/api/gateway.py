"""All methods of a gateway's clients: one list, so that `Client` and `AsyncClient` have the same."""

from __future__ import annotations

from semsearch.api.backups import BackupMethods
from semsearch.api.collections import CollectionMethods
from semsearch.api.gallery import GalleryMethods
from semsearch.api.limits import LimitsMethods
from semsearch.api.maps import MapMethods
from semsearch.api.models import ModelMethods
from semsearch.api.search import SearchMethods


class GatewayMethods(
    SearchMethods, GalleryMethods, CollectionMethods, MapMethods, ModelMethods, BackupMethods, LimitsMethods
):
    """The methods of all services of a gateway."""
