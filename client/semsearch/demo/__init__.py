"""Fetch a public set of photos to try semsearch with (`semsearch demo`)."""
