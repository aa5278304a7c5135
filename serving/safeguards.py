"""What stands between callers and the methods of a process: encryption, limits of HTTP, and gates, all kept current.

A call passes the gates in this order:

1. the drain, which counts it, and refuses it when the process shuts down;
2. the audit log, which records it with its outcome;
3. quotas, which refuse a caller that uses more than it may;
4. admission, which refuses what the process cannot answer in time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from serving import logs
from serving.admission_gate import AdmissionGate, MethodLanes
from serving.audit import AuditGate
from serving.audit_log import AuditLog
from serving.drain import Drain
from serving.errors import ErrorTable
from serving.gates import Gate
from serving.http_server import HttpLimits
from serving.live_settings import Live, LiveSettings
from serving.quotas.costs import Cost
from serving.quotas.gate import QuotaGate
from serving.quotas.limiter import Limiter
from serving.settings import HttpSettings, ServiceSettings
from serving.tls_servers import Encryption


@dataclass(frozen=True)
class Methods:
    """What a process knows of its methods.

    Attributes:
        errors: The statuses of the errors that they raise.
        costs: What they cost in quotas, if that is not one read.
        lanes: How they are admitted under load; by default, without a limit.
    """

    errors: ErrorTable
    costs: Mapping[str, Cost] = field(default_factory=dict)
    lanes: MethodLanes = field(default_factory=MethodLanes)


@dataclass(frozen=True)
class Safeguards:
    """The safeguards of a process."""

    live: LiveSettings[ServiceSettings]
    encryption: Encryption
    drain: Drain
    audit: AuditGate | None
    quotas: QuotaGate
    admission: AdmissionGate
    http_limits: HttpLimits

    @classmethod
    def of(cls, settings: ServiceSettings, methods: Methods, audit: AuditLog | None) -> Safeguards:
        """Make what the settings ask for.

        Raises:
            CertificateError: A file of a certificate cannot be used.
            LiveSettingsRefused: The file of settings that may change cannot be used.
        """
        live = LiveSettings(settings)
        counts = settings.data / "quotas" / f"{settings.service}.sqlite"
        return cls(
            live,
            Encryption.of(settings),
            Drain(),
            AuditGate(audit, settings.service, methods.errors, reads=settings.audit_reads) if audit else None,
            QuotaGate(Limiter(live.now.allowances), methods.costs, counts),
            AdmissionGate(methods.lanes, methods.errors),
            HttpLimits(pending_bytes=settings.http_body_bytes) if isinstance(settings, HttpSettings) else HttpLimits(),
        )

    @property
    def settings(self) -> ServiceSettings:
        """The settings as they are now."""
        return self.live.now.settings

    @property
    def gates(self) -> Sequence[Gate]:
        """The gates, in the order in which calls pass them."""
        return [gate for gate in (self.drain, self.audit, self.quotas, self.admission) if gate is not None]

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Follow the files that the settings name, as long as the context lasts."""
        self._use(self.live.now)
        async with self.live.followed(self._use), self.quotas.keeping_counts(), self.encryption.followed():
            yield

    def _use(self, now: Live[ServiceSettings]) -> None:
        logs.set_level(now.settings.log_level)
        self.quotas.limiter.allowances = now.allowances
        if isinstance(now.settings, HttpSettings):
            self.http_limits.connections_per_address = now.settings.http_max_connections_per_address
