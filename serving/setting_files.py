"""The files that settings name, looked at before a start.

A refusal names the setting, the file, what is wrong with it, and the remedy. A launcher that asks for a service's
settings hears it before anything is started.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from serving.access.exposure import Exposed, check_exposure
from serving.access.gate import access_gate
from serving.http_settings import HttpSettings
from serving.live_settings import LiveSettings, LiveSettingsRefused
from serving.settings import ServiceSettings, load_settings, stop
from serving.tls import CertificateError, CertificateFiles, files_of, http_files_of
from serving.watched_file import UnusableFile

_CERTIFICATES = "`semsearch certs make` makes a certificate, its key and their authority."
# What makes a file that is missing.
_MAKERS = {
    "tls_cert": _CERTIFICATES,
    "tls_key": _CERTIFICATES,
    "tls_ca": _CERTIFICATES,
    "tokens": "`semsearch token create` makes it, with a first token.",
    "suite_key": "The key lies beside the file of tokens unless this setting names another. `semsearch token create` "
    "makes it there; copy it together with the tokens.",
    "oidc_keys": "Save the provider's JWK Set there, or set the https address of it.",
}


class StartRefused(Exception):
    """The service cannot start as it is set; the message says why and what to do."""


def print_settings(cls: type[ServiceSettings], argv: Sequence[str] | None = None) -> None:
    """Print the settings that a service would start with, as one line of JSON.

    A service's settings module calls this when run (`python -m index_service.settings`), so that a launcher can read
    the ports and folders without starting the service.

    Raises:
        SystemExit: As `load_settings` does, and 2 if a file that the settings name cannot be used.
    """
    settings = load_settings(cls, argv)
    try:
        with refusals_of(settings):
            check_exposure(settings)
            LiveSettings(settings)
            _check_validity(files_of(settings))
            if isinstance(settings, HttpSettings):
                _check_validity(http_files_of(settings))
            access_gate(settings, {})
    except StartRefused as error:
        stop(str(error))
    print(settings.model_dump_json())  # noqa: T201 — it is the output


@contextmanager
def refusals_of(settings: ServiceSettings) -> Iterator[None]:
    """Return a context for reading the files of settings; what is wrong there is raised as `StartRefused`."""
    try:
        yield
    except Exposed as error:
        raise StartRefused(str(error)) from error
    except LiveSettingsRefused as error:
        named = f"{settings.label('live_settings')} names {settings.live_settings}."
        raise StartRefused(f"{error} {named}") from error
    except (CertificateError, UnusableFile) as error:
        raise StartRefused(_explained(settings, error)) from error


def _check_validity(files: CertificateFiles | None) -> None:
    """Check that a certificate is valid now.

    Whoever starts a suite with an expired one renews it first: no connection would succeed. A service by itself starts,
    since it may be one that is started again, and serves as soon as the file is renewed.

    Raises:
        CertificateError: It is not.
    """
    if files is None:
        return
    own, now = files.current.own, _now()
    if now >= own.expires:
        advice = f"No connection would succeed. {own.advice}"
        raise CertificateError(own.file, f"{own.file} expired on {own.expires:%Y-%m-%d %H:%M} UTC. {advice}")
    if now < own.begins:
        advice = "No connection would succeed before. Is this machine's clock right?"
        raise CertificateError(own.file, f"{own.file} is not valid before {own.begins:%Y-%m-%d %H:%M} UTC. {advice}")


def _now() -> datetime:
    return datetime.now(UTC)


def _explained(settings: ServiceSettings, error: CertificateError | UnusableFile) -> str:
    field = _field_of(settings, error.path)
    begin = f"The setting {settings.label(field)} is wrong:"
    if not isinstance(error.__cause__, FileNotFoundError):
        return f"{begin} {error}"
    return f"{begin} {error.path} does not exist. {_MAKERS.get(field, '')}".rstrip()


def _field_of(settings: ServiceSettings, path: Path) -> str:
    """Return the field that names a file."""
    named: list[str] = ["tls_cert", "tls_key", "tls_ca", "http_tls_cert", "http_tls_key", "tokens", "oidc_keys"]
    files = {field: getattr(settings, field, "") for field in named}
    return next((field for field, file in files.items() if file and Path(file) == path), "suite_key")
