"""What the gateway needs of the embedder and the index, and how it asks them."""
