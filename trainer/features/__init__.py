"""Compute a backbone's features of labelled pictures, each once, and keep them."""
