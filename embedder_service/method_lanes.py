"""How the embedder's methods are admitted under load (serving/admission_gate.py)."""

from __future__ import annotations

from serving.admission_gate import INNER_WAITS, MethodLanes
from serving.lanes import Lane

METHOD_LANES = MethodLanes(
    limited={
        "semsearch.embedder.v1.EmbedderService/EmbedText": Lane.INTERACTIVE,
    },
    unlimited={
        # Images are admitted one by one: see `image_embedding`.
        "semsearch.embedder.v1.EmbedderService/EmbedImages": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/StreamEmbedImages": Lane.INTERACTIVE,
        # Streams, and what is rare.
        "semsearch.embedder.v1.EmbedderService/StreamWords": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/GetModel": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/ListModels": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/ListRecipes": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/PullModel": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/ActivateModel": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/ListModelFiles": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/ReadModelFile": Lane.INTERACTIVE,
        "semsearch.embedder.v1.EmbedderService/ImportModel": Lane.INTERACTIVE,
    },
    waits=INNER_WAITS,
)
