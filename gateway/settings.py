"""Settings of the gateway process; `python -m gateway.settings` prints them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator
from typing_extensions import override

from gateway.backends.embedder_addresses import EmbedderAddresses
from serving.http_settings import HttpSettings
from serving.settings import listed


class GatewaySettings(HttpSettings):
    """The shared settings, and the addresses of the other services."""

    service: ClassVar[str] = "gateway"

    port: int = Field(50051, ge=0, le=65535, description="gRPC port; 0 takes a free one.")
    metrics_port: int = Field(9051, ge=-1, le=65535, description="Prometheus port; 0 takes a free one, -1 is off.")
    http_port: int = Field(
        8080, ge=-1, le=65535, description="HTTP port, for web pages and JSON; 0 takes a free one, -1 is off."
    )
    max_calls_per_caller: int = Field(
        1_000,
        ge=0,
        le=2**31 - 1,
        description="Calls that a caller may have in progress, streams included; 0 is any number.",
    )
    embedder: str = Field(
        "127.0.0.1:50052",
        min_length=1,
        description="Address of the embedder, host:port. For several: dns:///name:port, with a name that stands for "
        "all of them, or the ip:port of each, with commas between them.",
    )
    index: str = Field("127.0.0.1:50053", min_length=1, description="Address of the index.")
    images: str = Field(
        "",
        description="Where images are stored: a folder, s3://bucket/prefix or gs://bucket/prefix; empty means the data "
        "folder.",
    )
    thumbnail_cache_bytes: int = Field(
        64 * 2**20, ge=0, description="Bytes of thumbnails kept in memory if images lie in an object store."
    )
    index_replicas: str = Field(
        "",
        description="Addresses of read replicas of the index, with commas between them; searches are spread over them, "
        "and everything else goes to the index.",
    )
    backups: str = Field(
        "",
        description="Where backups may be made and restored from: a folder, s3://bucket/prefix or gs://bucket/prefix; "
        "callers choose a name below it. Empty allows no backups.",
    )
    max_pending_bytes: int = Field(
        256 * 2**20,
        ge=1,
        description="Bytes of images that all uploads together may have in progress, and as many in all "
        "downloads of originals; more must wait.",
    )
    map_threads: int = Field(
        0, ge=0, le=256, description="Threads that compute a collection's map; 0 is half of the machine's."
    )
    map_memory_bytes: int = Field(
        4 * 2**30,
        ge=2**29,  # NumPy, SciPy and scikit-learn take half of that
        description="Bytes of memory that computing a map may allocate; 100,000 images need about half a GiB.",
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Gateway processes that share the ports; the launcher starts this many.",
    )
    own_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="With several processes: gRPC port for calls from other gateways; 0 takes a free one.",
    )
    advertise: str = Field(
        "",
        pattern=r"^([A-Za-z0-9._-]+(:[0-9]{1,5})?)?$",
        description="Host, or host:port, at which gateways on other machines reach this process. Empty is the host "
        "that it listens on or, if it listens on all, this machine's address towards the network.",
    )
    lease_seconds: float = Field(
        5.0,
        ge=0.5,
        le=300,
        description="Seconds without a sign of the gateway that makes changes, after which another one takes over.",
    )

    @field_validator("embedder")
    @classmethod
    def _are_addresses(cls, text: str) -> str:
        EmbedderAddresses.parse(text)
        return text

    @property
    def replica_addresses(self) -> tuple[str, ...]:
        """The addresses of the index's read replicas."""
        return listed(self.index_replicas)

    @property
    @override
    def shares_port(self) -> bool:
        """Whether several processes listen on `port`."""
        return self.processes > 1

    @property
    @override
    def own_address(self) -> str:
        """The address on which only this process listens, if there are several."""
        return f"{self.host}:{self.own_port}" if self.shares_port else ""


if __name__ == "__main__":
    from serving.setting_files import print_settings

    print_settings(GatewaySettings)
