"""What others search with, one small class each; `contract` says what each does."""
