"""Keeps a collection in step with local folders.

`scan` finds the files of a folder, `state` remembers their hashes, `listing` reads what the server has, and `sync`
brings the two together. The server is the truth; what is remembered here only saves reading.
"""
