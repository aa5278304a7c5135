"""Train networks that map images to the word vectors of their labels (DeViSE, Frome et al. 2013)."""
