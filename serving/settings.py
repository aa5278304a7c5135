"""Typed settings of a service process: flags override the environment, which overrides the defaults.

Shared settings are read from `SEMSEARCH_<NAME>`, a service's own from `SEMSEARCH_<SERVICE>_<NAME>`; a flag is
the field's name with hyphens. Settings are frozen and validated once, here; no other code reads the environment. An
unknown or invalid setting aborts the start with one sentence that names it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn, TypeVar

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from rapidfuzz import process
from typing_extensions import override

from serving.access.settings import AccessSettings
from serving.quotas.settings import QuotaSettings
from serving.tls_settings import TlsSettings
from serving.url_secrets import without_secrets

PREFIX = "SEMSEARCH_"
# Every process sees all variables; those of another service are checked by that service.
SERVICES = ("embedder", "index", "gateway", "client", "trainer", "shared")

S = TypeVar("S", bound="ServiceSettings")


class _EnvironmentSource(PydanticBaseSettingsSource):
    """Reads `SEMSEARCH_<NAME>` for shared fields and `SEMSEARCH_<SERVICE>_<NAME>` for a service's own."""

    def __init__(self, settings_cls: type[ServiceSettings]) -> None:
        super().__init__(settings_cls)
        self._variable = settings_cls.variable

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the text of a field's variable; None if it is unset or empty."""
        return os.environ.get(self._variable(field_name)) or None, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        """Return the texts of all variables that are set."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: text for name, text in found.items() if text is not None}


class ServiceSettings(QuotaSettings, AccessSettings, TlsSettings):
    """Settings of every service; each one subclasses this, sets `service` and adds its own fields."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    service: ClassVar[str]
    shared: ClassVar[frozenset[str]] = frozenset(
        {
            *AccessSettings.model_fields,
            *TlsSettings.model_fields,
            "host",
            "data",
            "log_level",
            "log_format",
            "drain_seconds",
            "max_message_bytes",
            "max_connection_age_seconds",
            "otlp_endpoint",
            "trace_ratio",
            "audit_log",
            "audit_max_bytes",
            "audit_keep",
            "audit_reads",
            "channelz",
            "live_settings",
        }
    )

    # Those that `live_settings` may set.
    live: ClassVar[frozenset[str]] = frozenset(
        {"log_level", "read_quota", "write_quota", "embed_quota", "max_calls_per_caller"}
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 accepts other machines.")
    data: Path = Field(Path("var"), description="Folder of all persistent data.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["console", "json"] = Field("console", description="`console` for people, `json` for machines.")
    drain_seconds: float = Field(
        3.0, ge=0, le=300, description="Seconds that calls in flight have to finish at shutdown."
    )
    max_message_bytes: int = Field(
        64 * 2**20,
        ge=4 * 2**20,  # gRPC's default, and the most that a page of a list may have
        le=2**31 - 1,
        description="Largest gRPC message in bytes; the same for all services.",
    )
    max_connection_age_seconds: float = Field(
        120.0,
        ge=0,
        le=86_400,
        description="Seconds after which a client has to connect again, over gRPC and HTTP, so that servers that were "
        "added get calls, and new certificates count; calls in progress continue. 0 is never.",
    )
    otlp_endpoint: str = Field(
        "",
        pattern=r"^$|^https?://[^/\s]+(/\S*)?$",
        description="OpenTelemetry collector that gets traces (OTLP over HTTP), such as http://127.0.0.1:4318. Empty "
        "records none.",
    )
    trace_ratio: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of calls that are traced, of those whose callers send no `traceparent`.",
    )
    audit_log: str = Field(
        "",
        description="File that gets a line for each change and each refusal: who, what, which collection, outcome. "
        "All services may share one. Empty writes none.",
    )
    audit_max_bytes: int = Field(64 * 2**20, ge=2**16, description="Size at which a new audit log is begun.")
    audit_keep: int = Field(10, ge=0, le=1_000, description="Older audit logs that are kept.")
    audit_reads: bool = Field(False, description="Whether the audit log has searches and other reads too.")
    channelz: bool = Field(
        False, description="Whether gRPC's channelz service shows the connections and calls of this process."
    )
    tls_callers: Literal["certificate", "any"] = Field(
        "certificate",
        description="`any` admits gRPC callers without a certificate although SEMSEARCH_TLS_CA is set, for example "
        "because they have tokens.",
    )
    live_settings: str = Field(
        "",
        description="TOML file with settings that may change while the service runs; it is read again when it changes, "
        "and comes before flags and variables.",
    )
    port: int = Field(0, ge=0, le=65535, description="gRPC port; 0 takes a free one.")
    metrics_port: int = Field(-1, ge=-1, le=65535, description="Prometheus port; 0 takes a free one, -1 is off.")

    @property
    def wants_certificates(self) -> bool:
        """Whether callers over gRPC, and readers of metrics, must show a certificate."""
        return bool(self.tls_ca) and self.tls_callers == "certificate"

    @property
    def shares_port(self) -> bool:
        """Whether several processes listen on `port`; the system spreads connections over them."""
        return False

    @property
    def own_address(self) -> str:
        """The address of `own_port`, on which only this process listens; "" if it has no such port."""
        return ""

    def for_log(self) -> dict[str, Any]:
        """Return all settings by name, as JSON has them, without the secrets in their URLs."""
        return {name: _shown(value) for name, value in self.model_dump(mode="json").items()}

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the environment variable of a field."""
        own = "" if field in cls.shared else f"{cls.service.upper()}_"
        return f"{PREFIX}{own}{field.upper()}"

    @classmethod
    def label(cls, field: str) -> str:
        """Return what messages call a setting: its variable and its flag."""
        return f"{cls.variable(field)} (--{field.replace('_', '-')})"

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Replace the sources: first the arguments, then the environment."""
        if not issubclass(settings_cls, ServiceSettings):
            raise TypeError(settings_cls)
        return init_settings, _EnvironmentSource(settings_cls)


def load_settings(cls: type[S], argv: Sequence[str] | None = None) -> S:
    """Read the settings of a service from flags (`sys.argv[1:]` by default) and the environment.

    Raises:
        SystemExit: 2, with one sentence on stderr, if a setting is invalid or unknown; 0 after `--help`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if unknown := _unknown_variable(cls):
        stop(unknown)
    flags: CliSettingsSource[Any] = CliSettingsSource(
        cls,
        cli_prog_name=f"{cls.service}_service" if cls.service != "gateway" else "gateway",
        cli_parse_args=arguments,
        cli_kebab_case=True,
        cli_avoid_json=True,
    )
    try:
        return cls(_cli_settings_source=flags)  # type: ignore[call-arg]
    except ValidationError as error:
        problem = error.errors()[0]
        field = str(problem["loc"][0]) if problem["loc"] else "settings"
        stop(f"The setting {cls.label(field)} is wrong: {problem['msg']}; it was {_shown(problem['input'])!r}.")
    except SettingsError as error:
        stop(f"A setting cannot be read: {error}.")


def listed(text: str) -> tuple[str, ...]:
    """Return the values of a setting that has several, with commas between them."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _shown(value: Any) -> Any:
    return without_secrets(value) if isinstance(value, str) else value


def _unknown_variable(cls: type[ServiceSettings]) -> str | None:
    """Return a sentence about the first variable with our prefix that is not a setting, or None."""
    known = {cls.variable(field) for field in cls.model_fields}
    others = tuple(f"{PREFIX}{service.upper()}_" for service in SERVICES if service != cls.service)
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(others):
            near = process.extractOne(name, known, score_cutoff=70)
            hint = f" Did you mean {near[0]}?" if near else ""
            return f"There is no setting {name}.{hint} `--help` lists all."
    return None


def stop(sentence: str) -> NoReturn:
    """Refuse a start with a sentence on stderr; raises SystemExit with 2."""
    print(sentence, file=sys.stderr)  # noqa: T201 — logging is not set up yet
    raise SystemExit(2)
