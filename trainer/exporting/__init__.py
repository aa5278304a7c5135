"""Make a bundle that the embedder serves from what a run made."""
