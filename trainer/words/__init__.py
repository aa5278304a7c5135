"""Fetch word vectors, read them in every format, and convert them into a bundle's vocabulary; read WordNet."""
