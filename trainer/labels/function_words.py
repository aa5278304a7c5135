"""Words of English that say how a sentence holds together, and nothing of what a picture shows."""

from __future__ import annotations

__all__ = ["FUNCTION_WORDS"]

FUNCTION_WORDS = frozenset(
    """
    a an the this that these those some any each every either neither both all another other others such no none
    and or but nor so yet if as than because while whereas although though until unless since whether
    of in on at by for from to into onto with without within about after against along alongside amid among amongst
    around before behind below beneath beside besides between beyond despite down during except inside like near off
    out outside over past per through throughout toward towards under underneath up upon via across above
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves who whom whose which what where when why how there here
    someone something somebody anyone anything everyone everything one ones
    be am is are was were been being do does did doing done have has had having can could may might must shall should
    will would get gets getting got let lets seem seems
    not very too also just only even still again then now almost away back together apart else more most less least
    much many few several own same quite rather really ever never always s t
    """.split()  # noqa: SIM905 — a list of two hundred quoted words is harder to read
)
