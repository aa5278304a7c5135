"""Which words are right for a class, a caption or a WordNet sense, and where they lie in the joint space."""
