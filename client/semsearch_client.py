"""The client itself."""

from __future__ import annotations

from client.connection import DEFAULT_SERVER
from client.gallery import GalleryCalls
from client.models import ModelCalls
from client.search import SearchCalls

DEFAULT_COLLECTION = "gallery"

__all__ = ["DEFAULT_COLLECTION", "DEFAULT_SERVER", "SemsearchClient"]


class SemsearchClient(SearchCalls, GalleryCalls, ModelCalls):
    """Calls a gateway; safe to use from several threads. Every method raises `SemsearchError`."""
