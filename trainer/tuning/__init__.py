"""Search over the settings of a head, on precomputed features."""
