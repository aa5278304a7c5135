"""Keeps a collection in step with local folders.

`scan` finds the files of a folder, `state` caches their hashes, `listing` reads the server's images, and `sync`
reconciles the two. The server is authoritative; the cache only saves reading.
"""
