"""Words and images to vectors of one joint space."""
