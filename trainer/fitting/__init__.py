"""Fit a head: map a backbone's features to the vectors of labels."""
