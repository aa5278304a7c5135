"""Make a bundle, which the embedder serves, from a run's products."""
