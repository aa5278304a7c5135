"""Python client and the `semsearch` command."""
