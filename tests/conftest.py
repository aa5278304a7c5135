"""What holds for all tests."""

import signal

# Where the tests run in the background of a shell, SIGINT is ignored, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
