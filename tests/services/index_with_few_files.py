"""Runs the index service with a low limit of open files: `python -m tests.services.index_with_few_files`."""

import resource
import sys

from index_service.__main__ import main

FILES = 256

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    sys.exit(main())
