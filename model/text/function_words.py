"""English function words: words that relate other words, and name nothing that a picture shows.

Only closed classes: articles, pronouns, prepositions, conjunctions, auxiliaries, and the determiners and adverbs that
stand for other words. Some are left out because they also name things: "can" (a tin), "mine" (a pit), "us" (the
country), numerals, and "inside" and "outside", which state where a picture was taken.
"""

from __future__ import annotations

_DETERMINERS = """
a an the this that these those some any each every either neither both all another other such
much many more most several few no own same
"""
_PRONOUNS = """
i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
it its itself they them their theirs themselves who whom whose which what whatever whoever
something anything nothing everything someone anyone everyone
"""
_PREPOSITIONS = """
about above across after against along among around as at before behind below beneath beside besides between
beyond by despite down during except for from in into near of off on onto out over past per since through
throughout till to toward towards under underneath until up upon via with within without
"""
# Including the adverbs of place, time, reason and degree.
_CONJUNCTIONS = """
and or but nor so yet if because although though while whereas unless whether than then
when where why how here there not also just too very
"""
_AUXILIARIES = """
am is are was were be been being do does did doing done have has had having
will would shall should could may might must ought
i'm i've i'd i'll you're you've you'll he's she's it's we're we've they're they've that's there's what's who's
isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't can't cannot couldn't
shouldn't let's
"""
FUNCTION_WORDS = frozenset(" ".join((_DETERMINERS, _PRONOUNS, _PREPOSITIONS, _CONJUNCTIONS, _AUXILIARIES)).split())
