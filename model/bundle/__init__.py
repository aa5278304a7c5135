"""Model bundles: folders, immutable once written, that hold everything a joint space of words and images needs."""
