"""Ready-made ways from labelled images and word vectors to a bundle."""
