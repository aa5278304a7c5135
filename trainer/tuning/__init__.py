"""A search over the settings of a head, on features that are there."""
