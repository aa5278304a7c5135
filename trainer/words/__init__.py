"""Word vectors and WordNet: fetched, read in every format, converted into the vocabulary of a bundle."""
