"""Whether copies of a picture are told from other pictures, and how long that takes in a large collection."""
