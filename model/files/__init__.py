"""Where the files of a model come from, and how they are fetched."""
