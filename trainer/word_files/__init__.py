"""Files of word vectors: fetched from their publishers, opened, recognised and read, one file a format."""
