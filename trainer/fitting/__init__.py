"""Fitting a head: features of a backbone onto the vectors of labels."""
