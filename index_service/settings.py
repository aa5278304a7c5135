"""The settings of the index service; `python -m index_service.settings` prints them."""

from __future__ import annotations

import re
import socket
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from index_service.contract import MAX_LOG_BYTES
from index_service.definition import EngineKind
from index_service.engines.annoy import TREES
from serving.settings import ServiceSettings

_ADDRESS = re.compile(r"[^:\s/]+:([0-9]{1,5}):([0-9]{1,5})")


class IndexSettings(ServiceSettings):
    """The settings; thresholds have the names and defaults of Qdrant."""

    service: ClassVar[str] = "index"
    live: ClassVar[frozenset[str]] = ServiceSettings.live | {"max_pending_bytes"}

    port: int = Field(50053, ge=0, le=65535, description="gRPC port; 0 takes a free one.")
    metrics_port: int = Field(9053, ge=-1, le=65535, description="Prometheus port; 0 takes a free one, -1 is off.")
    full_scan_threshold: int = Field(
        10_000, ge=1, description="Rows outside segments at which they are merged into a segment; fewer are scanned."
    )
    deleted_threshold: float = Field(
        0.2, gt=0, le=1, description="Share of a segment's rows that may be deleted before it is merged."
    )
    vacuum_min_vector_number: int = Field(
        1_000, ge=1, description="Segments with fewer rows are not merged because of deleted rows."
    )
    annoy_trees: int = Field(
        TREES,
        ge=1,
        le=1_000,
        description="Trees in a new Annoy forest over components; a forest over full vectors has 2/5 as many.",
    )
    build_threads: int = Field(1, ge=-1, le=256, description="Threads that build a segment; -1 uses all cores.")
    blas_threads: int = Field(
        1, ge=1, le=256, description="Threads of one matrix product; searches already run in parallel."
    )
    max_pending_bytes: int = Field(
        256 * 2**20, ge=1, description="Bytes of uncommitted items of all writes together; further writes wait."
    )
    max_snapshot_log_bytes: int = Field(
        MAX_LOG_BYTES,
        ge=1,
        description="Bytes that the stores' logs may reach while a backup reads the indexes; then it is ended.",
    )
    call_threads: int = Field(16, ge=1, le=1_024, description="Calls that are processed at the same time.")
    engine: EngineKind = Field(EngineKind.ANNOY, description="Engine of new indexes that name none.")
    weaviate_addresses: str = Field(
        "",
        description="Nodes of a Weaviate cluster, host:http-port:grpc-port, separated by commas; empty: no cluster. "
        "One index service at a time may use a cluster.",
    )
    weaviate_replication_factor: int = Field(
        1, ge=1, le=64, description="Number of nodes that keep each item of a new index in Weaviate."
    )
    weaviate_consistency: Literal["ONE", "QUORUM", "ALL"] = Field(
        "ALL",
        description="Replicas that a write waits for: with ALL, every search has every acknowledged write, and a lost "
        "node stops writes, not reads. QUORUM and ONE let writes go on, and searches miss some of them.",
    )
    weaviate_api_key: SecretStr = Field(SecretStr(""), description="API key of the Weaviate cluster; empty: none.")
    publish: str = Field(
        "", description="URL of the place where indexes are published for read replicas: a folder, s3://…, gs://…."
    )
    replica_of: str = Field(
        "", description="URL of the place where a writer publishes; if set, this service is a read replica of it."
    )
    replication_seconds: float = Field(
        1.0,
        ge=0.05,
        le=3_600,
        description="Seconds from one publication to the next, and from one look of a replica to the next.",
    )
    publish_grace: float = Field(
        600.0, ge=1, description="Seconds for which published objects are kept after nothing refers to them any more."
    )
    max_staleness: float = Field(
        30.0,
        ge=0,
        description="Seconds by which a replica's answers may be out of date; beyond, it answers none. 0 is any.",
    )
    advertise: str = Field(
        "", description="Address of this service for others, host:port, which replicas name to those who want to write."
    )

    @property
    def address_for_others(self) -> str:
        """The address at which other machines reach this service; "" if it is not known."""
        if self.advertise:
            return self.advertise
        host = socket.gethostname() if self.host == "0.0.0.0" else self.host  # noqa: S104 — recognised, not bound
        return f"{host}:{self.port}" if self.port else ""

    @field_validator("replica_of")
    @classmethod
    def _publishes_nothing(cls, url: str, info: ValidationInfo) -> str:
        if url and info.data.get("publish"):
            raise ValueError("a read replica cannot publish; unset SEMSEARCH_INDEX_PUBLISH")
        return url

    @field_validator("weaviate_addresses")
    @classmethod
    def _check_addresses(cls, addresses: str) -> str:
        for address in split_addresses(addresses):
            match = _ADDRESS.fullmatch(address)
            if not match or match[1] == match[2]:
                raise ValueError(f'"{address}" is not host:http-port:grpc-port with two different ports')
        return addresses


def split_addresses(addresses: str) -> tuple[str, ...]:
    """Return the addresses that a setting separates by commas."""
    return tuple(each.strip() for each in addresses.split(",") if each.strip())


if __name__ == "__main__":
    from serving.setting_files import print_settings

    print_settings(IndexSettings)
