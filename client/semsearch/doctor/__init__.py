"""Examine a suite: what runs, what does not, and what to do about it (`semsearch doctor`)."""
