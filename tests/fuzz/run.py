"""Fuzz one target until a finding: `python -m tests.fuzz.run TARGET [options of libFuzzer] [folders]`."""

from __future__ import annotations

import logging
import signal
import sys
import warnings

import atheris
import structlog

# Not tests.fuzz: that makes messages at a third of the speed, and an input that reaches new code here is no find.
_PACKAGES = ["embedder_service", "gateway", "index_service", "model", "semsearch", "serving"]


def main() -> None:
    """Run libFuzzer; it ends the process."""
    with atheris.instrument_imports(include=_PACKAGES):
        from tests.fuzz.targets import load

        target = load(sys.argv[1])
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore")

    def run(content: bytes) -> None:
        try:
            target.run(content)
        except BaseException:
            # Python gives signals back their default actions before libFuzzer writes the input of a finding, and
            # libFuzzer's timer would end the process.
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise

    atheris.Setup([sys.argv[0], *sys.argv[2:]], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
