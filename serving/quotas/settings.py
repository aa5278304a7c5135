"""Settings about how much callers may do."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from serving.quotas.quota import Quota

_MOST = 2**31 - 1


class QuotaSettings(BaseSettings):
    """Settings that each service has for itself: calls between services are not for its callers' quotas."""

    read_quota: str = Field(
        "",
        description='What each caller may read, such as "50/s, burst 200, 100000/day": calls on average, calls at '
        "once, and calls in a day. Empty is unlimited.",
    )
    write_quota: str = Field("", description="What each caller may change, in images or items added or deleted.")
    embed_quota: str = Field("", description="How many images each caller may have the model embed.")
    max_calls_per_caller: int = Field(
        0, ge=0, le=_MOST, description="Calls that a caller may have in progress, streams included; 0 is any number."
    )
    max_streams_per_connection: int = Field(
        1_000, ge=1, le=_MOST, description="Calls in progress on one gRPC connection; its client holds back others."
    )
    max_connections: int = Field(
        400,
        ge=1,
        le=_MOST,
        description="gRPC connections at a time; more are closed at once. Each takes one of the process's open files.",
    )

    @field_validator("read_quota", "write_quota", "embed_quota")
    @classmethod
    def _is_quota(cls, text: str) -> str:
        Quota.parse(text)
        return text
