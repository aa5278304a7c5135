"""Accuracy of finding copies of a picture, and its duration in a large collection."""
