"""Examine the contents of a suite: its model, its collections, and the recall and merges of its indexes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from semsearch.client import DEFAULT_COLLECTION, Client
from semsearch.doctor.findings import Finding, note, ok, problem
from semsearch.doctor.places import Place
from semsearch.errors import AccessDenied, SemsearchError
from semsearch.index_operations import IndexOperations
from semsearch.top.scraping import NoMetrics, scrape
from semsearch.transport.server import TOKEN_VARIABLE
from semsearch.values import Collection, Model
from semsearch.values.indexes import IndexSummary

_SWITCHES = "semsearch_gateway_switches_running"
# At most this many are listed one by one; a suite may have thousands.
_LISTED = 10
# The recall is measured with some hundred queries, so it varies.
_RECALL_TOLERANCE = 0.03


def switch_in_progress(gateways: Iterable[Place]) -> bool:
    """Return whether a gateway says that it switches the suite to another model; `gateways` are ports of metrics."""
    for each in gateways:
        with suppress(NoMetrics):
            if scrape(each.address).total(_SWITCHES):
                return True
    return False


def examine_model_and_collections(client: Client, *, is_switching: bool) -> Iterator[Finding]:
    """Yield findings about the active model and the collections."""
    try:
        model = client.get_model()
        yield ok("model", f"{model.id}: {model.word_count:,} words, {model.dimension} dimensions")
        collections = sorted(client.list_collections(), key=lambda each: -each.image_count)
        yield from _examine_collections(model, collections, is_switching=is_switching)
    except SemsearchError as error:
        yield problem("model", error.message, error.hint or "The log of the gateway says more.")


def examine_indexes(service: IndexOperations) -> tuple[list[Finding], int]:
    """Return findings about the indexes, and the size of the largest in bytes."""
    try:
        found = sorted(service.list_indexes(), key=lambda each: -each.item_count)
    except AccessDenied as error:
        return [note("indexes", error.message, f"Set {TOKEN_VARIABLE} to an administrator's token, to see them.")], 0
    except SemsearchError as error:
        return [problem("indexes", error.message, error.hint or "The log of the index says more.")], 0
    findings = [_examine_index(each) for each in found]
    bad = [finding for finding in findings[_LISTED:] if finding.advice]
    listed = [*findings[:_LISTED], *bad]
    if rest := len(found) - len(listed):
        listed.append(ok("indexes", f"{rest:,} smaller ones are fine"))
    return listed, max((each.disk_bytes for each in found), default=0)


def _examine_collections(model: Model, collections: Sequence[Collection], *, is_switching: bool) -> Iterator[Finding]:
    count = sum(each.image_count for each in collections)
    if not count:
        yield note("images", "there are no images yet", "Add yours: semsearch index DIR. Or fetch some: semsearch demo")
        return
    yield ok("images", f"{count:,} in {_listed(collections)}")
    others = [each for each in collections if each.model_id != model.id and each.image_count]
    for each in others[:_LISTED]:
        if is_switching:
            text, advice = f"has the model {each.model_id}: a switch to another model is in progress", ""
        else:
            text = f"keeps the model that embedded its images, {each.model_id}"
            advice = f"To embed them again with the active one: semsearch model activate {model.id.partition('@')[0]}"
        yield note(f"collection {each.id}", text, advice)


def _listed(collections: Sequence[Collection]) -> str:
    names = [f"{each.id} ({each.image_count:,})" for each in itertools.islice(collections, _LISTED)]
    more = [f"{len(collections) - _LISTED:,} more"] if len(collections) > _LISTED else []
    return ", ".join([*names, *more]) or DEFAULT_COLLECTION


def _examine_index(index: IndexSummary) -> Finding:
    name = index.aliases[0] if index.aliases else index.name
    part = f"index {name}"
    if index.repairs:
        advice = f"If it stays: semsearch index rebuild {index.name}, then semsearch index check {index.name}"
        return problem(part, "; ".join(index.repairs), advice)
    text = (
        f"{index.item_count:,} items, {index.disk_bytes / 1e6:,.1f} MB; recall {index.measured_recall:.3f}"
        f" of {index.recall_target:.3g} wanted; {_merges(index)}"
    )
    if index.measured_recall < index.recall_target - _RECALL_TOLERANCE:
        return problem(part, text, f"Build its segments again: semsearch index rebuild {index.name}")
    return ok(part, text)


def _merges(index: IndexSummary) -> str:
    if index.last_merge_time is None:
        return "never merged: searches compare every item"
    live = f", {index.live_item_count:,} added since" if index.live_item_count else ""
    return f"last merge {index.last_merge_time.astimezone():%Y-%m-%d %H:%M}{live}"
