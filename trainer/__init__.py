"""Teach a network to land on the word vectors of its labels (DeViSE, Frome et al. 2013)."""
