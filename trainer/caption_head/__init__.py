"""A head trained on captions: it maps pictures near the words that people use for them."""
