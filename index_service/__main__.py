"""Start the index service: `python -m index_service`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial

from semsearch.index.v1 import (
    coordination_service_pb2,
    coordination_service_pb2_grpc,
    index_service_pb2,
    index_service_pb2_grpc,
)
from threadpoolctl import threadpool_limits

from index_service.access import RULES
from index_service.api.coordination_servicer import CoordinationServicer
from index_service.api.costs import COSTS
from index_service.api.limits import limits
from index_service.api.method_lanes import METHOD_LANES
from index_service.api.replication import publishing, reading
from index_service.api.servicer import IndexServicer
from index_service.api.statuses import ERRORS
from index_service.coordination.database import open_database
from index_service.coordination.leases import Leases
from index_service.coordination.records import Records
from index_service.definition import IndexDefinition
from index_service.engines.choosing import engine_of
from index_service.engines.contract import Engine
from index_service.errors import PlaceUnusable
from index_service.local.catalog import open_catalog
from index_service.local.connections import raise_limit
from index_service.local.merge_plan import Thresholds
from index_service.metrics import measured
from index_service.opening import open_backends
from index_service.replication.following import open_follower
from index_service.replication.place import Place
from index_service.replication.publishing import Publisher, Terms
from index_service.settings import IndexSettings
from serving.byte_budget import ByteBudget
from serving.limits_servicer import LimitsServicer, limits_service
from serving.object_store import ObjectStore, StoreUnusable
from serving.safeguards import Methods
from serving.server import GrpcService, Served, run
from serving.settings import load_settings

_COORDINATION_THREADS = 4
_INDEX = index_service_pb2.DESCRIPTOR.services_by_name["IndexService"]
_COORDINATION = coordination_service_pb2.DESCRIPTOR.services_by_name["CoordinationService"]


@asynccontextmanager
async def open_services(settings: IndexSettings) -> AsyncIterator[Served]:
    """Open the indexes in the data folder and their servicer; close them in reverse order."""
    with ExitStack() as stack:
        # The threads of a matrix product wait for each other: with another busy process on two cores, 28,000 × 300
        # took 8.0 ms on two threads and 2.4 ms on one (on an idle machine: 1.0 and 2.0).
        stack.enter_context(threadpool_limits(settings.blas_threads, user_api="blas"))
        threads = stack.enter_context(ThreadPoolExecutor(settings.call_threads, thread_name_prefix="call"))
        open_ = _open_replica if settings.replica_of else _open_writer
        budget = ByteBudget(settings.max_pending_bytes)
        services = await asyncio.get_running_loop().run_in_executor(threads, open_, settings, threads, budget, stack)
        limits_servicer = LimitsServicer("index", limits(settings))

        def change(now: IndexSettings) -> None:
            budget.resize(now.max_pending_bytes)
            limits_servicer.use(limits(now))

        yield Served([*services, limits_service(limits_servicer)], changed=change)


def _open_writer(
    settings: IndexSettings, threads: Executor, budget: ByteBudget, stack: ExitStack
) -> Sequence[GrpcService]:
    folder = settings.data / "index"
    thresholds = Thresholds(settings.full_scan_threshold, settings.deleted_threshold, settings.vacuum_min_vector_number)
    local = stack.enter_context(open_catalog(folder, partial(_engine, settings), thresholds))
    stack.enter_context(measured(local))
    catalog = stack.enter_context(open_backends(settings, local))
    database = stack.enter_context(open_database(folder))  # the catalog holds the folder's lock
    leases, records = Leases(database), Records(database)
    # Closed first, so that no work on them meets a closed database.
    few = stack.enter_context(ThreadPoolExecutor(_COORDINATION_THREADS, thread_name_prefix="coordination"))
    servicer = IndexServicer(
        catalog,
        leases,
        threads,
        budget,
        settings.max_snapshot_log_bytes,
        settings.engine,
    )
    coordination = CoordinationServicer(leases, records, few)
    background = [*catalog.background]
    if settings.publish:
        place = _open_place("publish", settings.publish)
        terms = Terms(settings.replication_seconds, settings.publish_grace)
        publisher = Publisher(place, local, settings.address_for_others, terms)
        stack.enter_context(publisher.running())
        servicer = publishing(servicer, _INDEX, publisher)
        background.append(publisher.health)
    return (
        GrpcService(
            _INDEX.full_name,
            lambda server: index_service_pb2_grpc.add_IndexServiceServicer_to_server(servicer, server),
            background=background,
        ),
        GrpcService(
            _COORDINATION.full_name,
            lambda server: coordination_service_pb2_grpc.add_CoordinationServiceServicer_to_server(
                coordination, server
            ),
        ),
    )


def _open_replica(
    settings: IndexSettings, threads: Executor, budget: ByteBudget, stack: ExitStack
) -> Sequence[GrpcService]:
    place = _open_place("replica_of", settings.replica_of)
    folder = settings.data / "index-replica"
    follower = stack.enter_context(open_follower(place, folder, partial(_engine, settings)))
    stack.enter_context(measured(follower.catalog))
    stack.enter_context(follower.running(settings.replication_seconds))
    # Leases are asked for at the writer; no change gets as far as to need one here.
    leases = Leases(stack.enter_context(open_database(folder)))
    served = IndexServicer(
        follower.catalog,
        leases,
        threads,
        budget,
        settings.max_snapshot_log_bytes,
    )
    servicer = reading(served, _INDEX, follower, settings.max_staleness)
    return (
        GrpcService(
            _INDEX.full_name,
            lambda server: index_service_pb2_grpc.add_IndexServiceServicer_to_server(servicer, server),
            health=partial(follower.watch, settings.max_staleness),
            background=(follower.health,),
        ),
    )


def _open_place(setting: str, url: str) -> Place:
    try:
        return Place(ObjectStore(url))
    except StoreUnusable as error:
        raise PlaceUnusable(IndexSettings.variable(setting), str(error)) from error


def _engine(settings: IndexSettings, definition: IndexDefinition) -> Engine:
    return engine_of(definition, settings.build_threads, settings.annoy_trees)


def main() -> int:
    """Read the settings and serve until a signal arrives."""
    settings = load_settings(IndexSettings)
    raise_limit()
    return run(settings, lambda _: open_services(settings), Methods(ERRORS, RULES, COSTS, METHOD_LANES))


if __name__ == "__main__":
    sys.exit(main())
