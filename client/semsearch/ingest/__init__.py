"""Adds millions of files to a collection with the workers of a Ray cluster.

`places` lists and reads files, `manifest` remembers what is done, `sending` sends a shard of files, and `pipeline` has
many workers do so. Only `pipeline` and `cluster` need Ray (the extra `ray`).
"""
