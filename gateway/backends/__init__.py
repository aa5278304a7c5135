"""The gateway's interfaces to the embedder and the index, and the clients that implement them."""
