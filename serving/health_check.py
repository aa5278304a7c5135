"""Ask services of this machine for their health: `python -m serving.health_check HOST:PORT ...`.

If the variables SEMSEARCH_TLS_… set a certificate, the connections are encrypted.

For containers, whose health is the exit status of a command. An image that can run any of several services names the
port of each: the status is 0 if a service listens on one of them, and all that listen are SERVING.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic_settings import SettingsConfigDict

from serving.own_channel import open_own_channel
from serving.settings import PREFIX
from serving.tls_settings import TlsSettings

_SECONDS = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    """Print what each address answers, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m serving.health_check", description=__doc__.partition("\n")[0])
    parser.add_argument("addresses", nargs="+", metavar="HOST:PORT")
    settings = _Settings()  # type: ignore[call-arg]
    answers = {address: _ask(address, settings) for address in parser.parse_args(argv).addresses}
    for address, answer in answers.items():
        sys.stdout.write(f"{address}: {answer or 'nothing listens'}\n")
    return 0 if {*answers.values()} - {None} == {"SERVING"} else 1


class _Settings(TlsSettings):
    """The certificates of the services of this machine; nothing else is read, whatever is set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")


def _ask(address: str, settings: TlsSettings) -> str | None:
    """Return the health of "" at an address, or the status of the call that failed; None if nothing listens."""
    with open_own_channel(address, settings) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            return None if error.code() == grpc.StatusCode.UNAVAILABLE else error.code().name
        name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        return name


if __name__ == "__main__":
    sys.exit(main())
