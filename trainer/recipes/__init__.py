"""Complete recipes from labelled images and word vectors to a bundle."""
