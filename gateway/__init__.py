"""Composes the embedder and the index into search, tagging and a gallery."""
