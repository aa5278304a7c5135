"""The page that says who may call what, from the rules of the services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from docs_site.markdown import code, table
from embedder_service.access import RULES as OF_THE_EMBEDDER
from gateway.access import LOG_IN
from gateway.access import RULES as OF_THE_GATEWAY
from index_service.access import RULES as OF_THE_INDEX
from serving.access.gate import OF_ALL_SERVERS
from serving.access.rules import Rule, Rules

_INTRODUCTION = """# Who may call what

What an RPC needs where callers have tokens ([how](../guides/who-may-call.md)). A role may do what the ones before it
may: read, write, admin. A token for some collections is held to the collection that the request names, and refused
where an RPC concerns the whole suite.

Over HTTP, images have the rule of DownloadImage. Health, `DELETE /session` and the files of the page need no token.
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for title, rules in (
        ("Gateway", OF_THE_GATEWAY),
        ("Embedder", OF_THE_EMBEDDER),
        ("Index", OF_THE_INDEX),
        ("All services", OF_ALL_SERVERS),
    ):
        parts += [f"\n## {title}\n", table(["RPC", "role", "collection"], list(_rows(rules)))]
    return "\n".join(parts)


def _rows(rules: Rules) -> Iterator[Sequence[str]]:
    for name, rule in rules.items():
        shown = "POST /session" if name == ".".join(LOG_IN) else name
        role = rule.role.name.lower()
        yield code(shown), f"{role}; the suite itself" if rule.suite_may else role, _collections(rule)


def _collections(rule: Rule) -> str:
    if rule.whole_suite:
        return "the whole suite"
    if not rule.collections:
        return "none"
    named = ", ".join(map(code, rule.collections))
    return f"{named}, with {' or '.join(map(code, rule.if_set))}" if rule.if_set else named
