"""From what a run made to a bundle that the embedder serves."""
