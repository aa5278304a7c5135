"""Options about encrypted connections, for all commands: `semsearch --tls-ca ca.crt search boat`.

Each stands for the variable of the client (`semsearch.transport.tls`), which every connection of the command reads. A
suite that runs in the working folder needs neither: its `suite.json` names its certificates.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from semsearch import suites
from semsearch.transport.tls import (
    CA_VARIABLE,
    CERTIFICATE_VARIABLE,
    KEY_VARIABLE,
    NAME_VARIABLE,
    TLS_VARIABLE,
)

_PANEL = "Encryption"
_ALL = (TLS_VARIABLE, CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE, NAME_VARIABLE)

IsEncrypted = Annotated[
    bool,
    typer.Option(
        "--tls",
        envvar=TLS_VARIABLE,
        rich_help_panel=_PANEL,
        help="Encrypt, and trust the public certificate authorities that come with gRPC.",
    ),
]
Authorities = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        envvar=CA_VARIABLE,
        rich_help_panel=_PANEL,
        metavar="FILE",
        help="Encrypt, and trust the authorities in this PEM file.",
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        envvar=CERTIFICATE_VARIABLE,
        rich_help_panel=_PANEL,
        metavar="FILE",
        help="Your own certificate (PEM), for servers that ask for one.",
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--tls-key", envvar=KEY_VARIABLE, rich_help_panel=_PANEL, metavar="FILE", help="The key of your certificate."
    ),
]
ServerName = Annotated[
    str,
    typer.Option(
        "--tls-server-name",
        envvar=NAME_VARIABLE,
        rich_help_panel=_PANEL,
        metavar="NAME",
        help="The name in the server's certificate, if it is not the host of the address.",
    ),
]


def use(
    is_encrypted: bool, authorities: Path | None, certificate: Path | None, key: Path | None, server_name: str
) -> None:
    """Have the connections of this process encrypted as the options say."""
    if (certificate is None) != (key is None):
        raise typer.BadParameter("A certificate and its key go together.", param_hint="--tls-cert, --tls-key")
    given = ("1" if is_encrypted else "", authorities, certificate, key, server_name)
    os.environ.update({variable: str(value) for variable, value in zip(_ALL, given, strict=True) if value})


def use_suites_own(suite: suites.Suite) -> None:
    """Have the connections of this process encrypted for the folder's suite, unless options or variables say how."""
    if any(os.environ.get(variable) for variable in _ALL):
        return
    os.environ.update({variable: file for variable, file in zip(_ALL[1:4], suite.tls, strict=True) if file})
