"""Maps of collections: computed in a child process, kept in files, brought up to date when they are read."""
