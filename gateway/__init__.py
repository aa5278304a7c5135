"""The gateway: search, tagging and a gallery on top of the embedder and the index."""
