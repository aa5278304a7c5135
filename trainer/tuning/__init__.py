"""Search over the settings of a head, on features that are computed already."""
