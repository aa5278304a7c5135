"""`semsearch certs`: make, add, renew and list the certificates of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semsearch.cli import options
from semsearch.cli.output import Output, counted
from semsearch.errors import InvalidRequest

if TYPE_CHECKING:
    from semsearch.certificates.folder import CertificateFolder, Described

_DAYS = 365.0

app = typer.Typer(
    no_args_is_help=True,
    help="Make the certificates of a suite: an authority of your own, and what it signs.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The folder of the certificates.")]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A name or IP address at which services are reached; may be repeated."),
]
Days = Annotated[float, typer.Option(min=0.01, help="Days for which the certificates are valid.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


@app.command()
def make(
    folder: Folder = Path("certs"),
    host: Hosts = None,
    days: Days = _DAYS,
    overwrite: Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Make an authority, a certificate for all services, and one for callers.

    That of the services is valid for the hosts, for this machine's own names, and for the names that the services have
    in deploy/. Keep ca.key elsewhere: nothing needs it but `semsearch certs`.
    """
    output = Output(as_json)
    certificates = _opened(folder)
    certificates.make(host or (), days, overwrite=overwrite)
    _show(output, list(certificates.certificates()))
    if not as_json:
        output.say("For the services, and for `make run-all`:")
        for variable, name in _settings("SEMSEARCH_TLS", "server"):
            output.sentence(f"export {variable}={(folder / name).absolute()}")
        output.say("For callers elsewhere:")
        for variable, name in _settings("SEMSEARCH_CLIENT_TLS", "client"):
            output.sentence(f"export {variable}={(folder / name).absolute()}")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The name of its files, and of the caller.")],
    folder: Folder = Path("certs"),
    host: Hosts = None,
    days: Days = _DAYS,
    overwrite: Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Add a certificate: of a service that is reached at the hosts, or of a caller if none is given."""
    output = Output(as_json)
    certificates = _opened(folder)
    certificates.add(name, host or (), days, overwrite=overwrite)
    _show(output, [each for each in certificates.certificates() if each.name == name])


@app.command()
def renew(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of the certificates to renew. Default: all that ca.crt signed.")
    ] = None,
    folder: Folder = Path("certs"),
    days: Days = _DAYS,
    as_json: options.Json = False,
) -> None:
    """Replace certificates by new ones for the same hosts. Services that use the files notice within seconds."""
    output = Output(as_json)
    certificates = _opened(folder)
    renewed = certificates.renew(names or (), days)
    _show(output, renewed)
    kept = {each.name for each in certificates.certificates()} - {each.name for each in renewed} - {"ca"}
    if kept and not names:
        output.say(f"Not renewed, because they are not from an authority in ca.crt: {', '.join(sorted(kept))}.")


@app.command("list")
def list_certificates(folder: Folder = Path("certs"), as_json: options.Json = False) -> None:
    """List the certificates, their hosts, and when they expire."""
    output = Output(as_json)
    _show(output, list(_opened(folder).certificates()))


def _opened(folder: Path) -> CertificateFolder:
    try:
        from semsearch.certificates.folder import CertificateFolder
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            "This command needs the package cryptography.", hint='Install it with: pip install "semsearch[certs]"'
        ) from error
    return CertificateFolder(folder)


def _show(output: Output, found: Sequence[Described]) -> None:
    if output.as_json:
        output.document(
            [
                {"name": each.name, "hosts": each.hosts, "expires": each.expires, "file": str(each.file)}
                for each in found
            ]
        )
        return
    output.table(
        ["name", "for", "expires", "file"],
        [[each.name, _purpose(each), _expiry(each.expires), str(each.file)] for each in found],
    )


def _purpose(each: Described) -> str:
    if each.name == "ca":
        return "signing the others"
    return ", ".join(each.hosts) or "a caller"


def _expiry(expires: datetime) -> str:
    days = round((expires - datetime.now(UTC)) / timedelta(days=1))
    return f"{expires:%Y-%m-%d}, {'expired' if days < 0 else 'in ' + counted(days, 'day')}"


def _settings(prefix: str, name: str) -> list[tuple[str, str]]:
    return [(f"{prefix}_CA", "ca.crt"), (f"{prefix}_CERT", f"{name}.crt"), (f"{prefix}_KEY", f"{name}.key")]
