"""The right words for a class, a caption or a WordNet sense, and their vectors in the joint space."""
