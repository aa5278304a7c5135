"""The joint model of words and images, as a library: the embedder serves it, and the trainer makes it."""
