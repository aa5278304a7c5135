"""What stands between callers and the methods of a process: encryption, limits of HTTP, and gates, all kept current.

A call passes the gates in this order:

1. the audit log, which records it with its outcome;
2. the drain, which counts it, and refuses it when the process shuts down;
3. access, which finds out who calls, and refuses what this caller may not do;
4. quotas, which refuse a caller that has too many calls in progress, waiting ones included;
5. admission, which refuses what the process cannot answer in time; a call whose request has not arrived waits before.

Then each of its messages passes them: access checks the collections that it names, and quotas take what it costs. So a
call that admission refuses costs nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from serving import logs
from serving.access.exposure import check_exposure
from serving.access.gate import AccessGate, access_gate
from serving.access.rules import Rules
from serving.admission_gate import AdmissionGate, MethodLanes
from serving.audit import AuditGate
from serving.audit_log import AuditLog
from serving.channels import Channels, no_metadata
from serving.drain import Drain
from serving.early_refusal import EarlyRefusal
from serving.error_status import ErrorTable
from serving.gates import Gate
from serving.http_server import HttpLimits
from serving.http_settings import HttpSettings
from serving.live_settings import Live, LiveSettings
from serving.quotas.costs import Cost
from serving.quotas.gate import QuotaGate
from serving.quotas.limiter import Limiter
from serving.settings import ServiceSettings
from serving.tls_servers import Encryption


@dataclass(frozen=True)
class Methods:
    """What a process knows of its methods.

    Attributes:
        errors: The statuses of the errors that they raise.
        rules: Who may call them, where callers are known, and what names the collection in their requests; nobody may
            call one without a rule.
        costs: What they cost in quotas, if that is not one read.
        lanes: How they are admitted under load; by default, without a limit.
    """

    errors: ErrorTable
    rules: Rules = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    lanes: MethodLanes = field(default_factory=MethodLanes)


@dataclass(frozen=True)
class Safeguards:
    """The safeguards of a process."""

    live: LiveSettings[ServiceSettings]
    encryption: Encryption
    drain: Drain
    audit: AuditGate | None
    access: AccessGate | None
    quotas: QuotaGate
    admission: AdmissionGate
    http_limits: HttpLimits

    @classmethod
    def of(cls, settings: ServiceSettings, methods: Methods, audit: AuditLog | None) -> Safeguards:
        """Make what the settings ask for.

        Raises:
            CertificateError: A file of a certificate cannot be used.
            Exposed: Other machines would reach the service without encryption or without tokens.
            LiveSettingsRefused: The file of settings that may change cannot be used.
            UnusableFile: A file of tokens or keys cannot be used.
        """
        check_exposure(settings)
        live = LiveSettings(settings)
        counts = settings.data / "quotas" / f"{settings.service}.sqlite"
        return cls(
            live,
            Encryption.of(settings),
            Drain(),
            AuditGate(audit, settings.service, methods.errors, methods.rules, reads=settings.audit_reads)
            if audit
            else None,
            access_gate(settings, methods.rules),
            QuotaGate(Limiter(live.now.allowances), methods.costs, counts, methods.errors),
            AdmissionGate(methods.lanes, methods.errors),
            _http_limits(settings),
        )

    @property
    def settings(self) -> ServiceSettings:
        """The settings as they are now."""
        return self.live.now.settings

    @property
    def gates(self) -> Sequence[Gate]:
        """The gates, in the order in which calls pass them."""
        gates = (self.audit, self.drain, self.access, self.quotas, self.admission)
        return [gate for gate in gates if gate is not None]

    @property
    def early_refusal(self) -> EarlyRefusal:
        """What refuses calls before they pass the gates."""
        return EarlyRefusal(self.drain, self.audit, self.access, self.quotas, self.admission)

    @property
    def channels(self) -> Channels:
        """What opens channels to other services, encrypted and on behalf of callers as this process is set."""
        return Channels(
            self.settings.max_message_bytes,
            self.encryption.certificates,
            self.settings.tls_server_name,
            self.access.identity if self.access else no_metadata,
        )

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Follow the files that the settings name, as long as the context lasts."""
        self.live.listen(self._use)
        access = self.access.kept_current() if self.access else nullcontext()
        async with self.live.followed(), self.quotas.keeping_counts(), self.encryption.followed(), access:
            try:
                yield
            finally:
                if self.audit is not None:
                    self.audit.end()

    def _use(self, now: Live[ServiceSettings]) -> None:
        logs.set_level(now.settings.log_level)
        self.quotas.limiter.allowances = now.allowances
        if isinstance(now.settings, HttpSettings):
            self.http_limits.connections_per_address = now.settings.http_max_connections_per_address


def _http_limits(settings: ServiceSettings) -> HttpLimits:
    limits = HttpLimits(max_connection_age_seconds=settings.max_connection_age_seconds)
    if isinstance(settings, HttpSettings):
        limits.pending_bytes = settings.http_body_bytes
    return limits
