"""Queries as people type them, from characters to vectors, with a vocabulary full of traps."""

from __future__ import annotations

import itertools
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import EmptyQuery, InvalidWeight, QueryError, QueryTooLong, UnknownWords
from model.text.characters import normalize
from model.text.embedding import TextVector, embed_terms
from model.text.function_words import FUNCTION_WORDS
from model.text.query import MAX_TERMS, listed_term, parse
from tests.unit.model.made_up_vocabulary import made_up

THINGS = (
    "dog", "cat", "house", "street", "sports", "car", "red", "sea", "fish", "shark", "sofa", "hat", "tie",
    "bar", "bed",
    "table", "dam", "rose", "beach", "horse", "retriever", "golden", "king", "man", "woman",
)  # fmt: skip
VOCABULARY = made_up(
    (
        "the", "of", "a", "i", "to", "and", "for", "me", "no", "not", "or", "with", "without", "out", "on",
        "show",
        "find", "photo", "picture", "image", "search", "looking", *THINGS, "way", "way out", "sports car",
        "golden retriever",
        "german shepherd dog", "adam", "arose", "hattie", "barbed", "notable", "barcode", "24/7", "c++",
        "t-shirt",
        "dont", "o'neill", "smoking", "seafood", "food",
    )
)  # fmt: skip
CARRIERS = (
    "a photo of a", "photos of", "photo of the", "a picture of a", "pictures of", "an image of a", "images of",
    "pic of", "a snapshot of the", "show me", "show me a photo of", "find", "find me a",
    "find pictures of", "search for a",
    "looking for", "I am looking for a", "please show me images of some", "Photographs showing a",
    "I'd like to see a",
)  # fmt: skip
DECORATIONS = (
    "“{}”", "”{}”", "„{}“", "«{}»", "»{}«", "‹{}›", "「{}」", "『{}』", "‘{}’", "‚{}‘", "`{}`", "'{}'", '"{}"',
    "＂{}＂", "´{}´", "#{}", "@{}", "[{}]", "{{{}}}", "({})", "<{}>", "{}*", "*{}*", "_{}_", "~{}~", "{}!",
    "{}?", "¿{}?",
    "{}.", "{}…", "{},", "{}:", "{};", "\u200b{}\u200b", "\ufeff{}", "{}\u00ad", "\u2060{}",
    "\u202a{}\u202c", "{}\ufe0f",
    "  {}\t", "\u00a0{}\u3000", "|{}|", "/{}", "{}/", "{}™", "'{}", "{}'", "{}’s", "- {}", "— {}", "{} &",
    '"{}',
)  # fmt: skip


def embed(query: str) -> TextVector:
    return embed_terms(parse(query), VOCABULARY)


def meaning(query: str) -> list[tuple[str, float]]:
    """Return how a query is understood: each term's vocabulary words, joined by +, and its weight."""
    return [("+".join(term.words), term.weight) for term in embed(query).understood]


def same(one: str, other: str) -> bool:
    return bool(np.array_equal(embed(one).vector, embed(other).vector))


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("sought", ["dog", "sports car", "red house on a beach", "dog -cat^0.5", '"golden retriever"'])
def test_words_that_only_introduce_a_query_are_ignored(carrier: str, sought: str) -> None:
    assert same(f"{carrier} {sought}", sought)
    assert same(f"{carrier.upper()} {sought}", sought)


@pytest.mark.parametrize(
    ("query", "understood"),
    [
        ("photo", [("photo", 1)]),
        ("a photo", [("photo", 1)]),
        ("photo of", [("photo", 1)]),
        ("show me photos", [("photo", 1)]),
        ('"photo" of a dog', [("photo", 1), ("dog", 1)]),
        ("photo^2 of a dog", [("photo", 2), ("dog", 1)]),
        ("photo dog", [("photo", 1), ("dog", 1)]),
        ("photo of -dog", [("photo", 1), ("dog", -1)]),
        ("find", [("find", 1)]),
        ("house with a picture of a horse", [("house", 1), ("picture", 1), ("horse", 1)]),
    ],
)
def test_words_for_pictures_count_if_they_are_searched_for(query: str, understood: list[tuple[str, float]]) -> None:
    assert meaning(query) == understood


@pytest.mark.parametrize(
    ("query", "understood"),
    [
        ("the", [("the", 1)]),
        ("of the", [("of", 1), ("the", 1)]),
        ("the^2 dog", [("the", 2), ("dog", 1)]),
        ("the^1 dog", [("the", 1), ("dog", 1)]),
        ('"the" dog', [("the", 1), ("dog", 1)]),
        ("-the dog", [("dog", 1)]),
        ('"dog on the beach"', [("dog+beach", 1)]),
        ("dog-on-the-beach", [("dog+beach", 1)]),
        ("the way out", [("way out", 1)]),
        ("no smoking", [("smoking", 1)]),
        ("not a dog", [("dog", 1)]),
    ],
)
def test_function_words_count_alone_in_quotes_and_with_a_weight(
    query: str, understood: list[tuple[str, float]]
) -> None:
    assert meaning(query) == understood


def test_function_words_do_not_hide_that_nothing_is_known() -> None:
    with pytest.raises(UnknownWords, match=r"known: elefantt\."):
        embed("a photo of the elefantt")


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize("word", ["dog", "sports car"])
def test_signs_around_words_do_not_matter(decoration: str, word: str) -> None:
    if word != "dog" and decoration in ("'{}", "{}'", "{}’s"):
        return
    assert same(decoration.format(word), word)


@pytest.mark.parametrize(
    "query",
    ["dog/cat", "dog_cat", "dog|cat", "dog\\cat", "dog+cat", "dog & cat", "dog&cat", "dog,cat", "dog:cat", "dog;cat"],
)
def test_signs_between_words_separate_them(query: str) -> None:
    assert meaning(query) == [("dog", 1), ("cat", 1)]


@pytest.mark.parametrize(
    ("query", "understood"),
    [
        ("sports_car", "sports car"),
        ("sports+car", "sports car"),
        ("golden‑retriever", "golden retriever"),
        ("golden–retriever", "golden retriever"),
        ("go\u00adlden ret\u200briever", "golden retriever"),
        ("24/7", "24/7"),
        ("C++", "c++"),
        ("don't", "dont"),
        ("don’t", "dont"),
        ("O’Neill", "o'neill"),
        ("dogs' ", "dog"),
        ("ﬁsh", "fish"),
        ("ＤＯＧ", "dog"),
        ("bar-code", "barcode"),
        ("t shirt", "t-shirt"),
    ],
)
def test_a_word_is_found_in_the_vocabularys_spelling(query: str, understood: str) -> None:
    assert meaning(query) == [(understood, 1)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("a dam", ["dam"]),
        ("a rose", ["rose"]),
        ("hat tie", ["hat", "tie"]),
        ("bar bed", ["bar", "bed"]),
        ("no table", ["table"]),
        ("sea food", ["sea", "food"]),
        ('"sea food"', ["sea+food"]),
        ("sports, car", ["sports", "car"]),
        ("sports OR car", ["sports", "car"]),
        ("sports/car", ["sports", "car"]),
        ("sports the car", ["sports", "car"]),
        ("german shepherd dogs", ["german shepherd dog"]),
    ],
)
def test_words_are_joined_only_to_a_phrase_of_the_vocabulary(query: str, words: list[str]) -> None:
    assert [word for word, _ in meaning(query)] == words


@pytest.mark.parametrize("dash", "-–—−‐‑‒―－﹣")
def test_every_dash_steers_away(dash: str) -> None:
    assert same(f"fish {dash}shark", "fish -shark")
    assert same(f"fish ({dash}shark)", "fish -shark")
    assert same(f"sports{dash}car", "sports car")
    assert same(f"fish {dash} shark", "fish shark"), "between spaces it is punctuation"


@pytest.mark.parametrize(
    ("query", "understood"),
    [
        ("dog NOT cat", [("dog", 1), ("cat", -1)]),
        ("dog !cat", [("dog", 1), ("cat", -1)]),
        ("dog NOT a cat", [("dog", 1), ("cat", -1)]),
        ("dog AND NOT cat", [("dog", 1), ("cat", -1)]),
        ("NOT cat dog", [("cat", -1), ("dog", 1)]),
        ("dog NOT golden retriever", [("dog", 1), ("golden retriever", -1)]),
        ('dog NOT "golden retriever"^2', [("dog", 1), ("golden retriever", -2)]),
        ("dog NOT -cat", [("dog", 1), ("cat", -1)]),
        ("dog not cat", [("dog", 1), ("cat", 1)]),
        ("street without cars", [("street", 1), ("car", -1)]),
        ("a street Without any cars on a beach", [("street", 1), ("car", -1), ("beach", 1)]),
        ("man without red hat", [("man", 1), ("red+hat", -1)]),
        ("man without red hat, dog", [("man", 1), ("red+hat", -1), ("dog", 1)]),
        ("street without sports car", [("street", 1), ("sports car", -1)]),
        ("dog OR cat", [("dog", 1), ("cat", 1)]),
        ("king - man + woman", [("king", 1), ("man", -1), ("woman", 1)]),
        ("king + woman − man", [("king", 1), ("woman", 1), ("man", -1)]),
        ("king — man", [("king", 1), ("man", 1)]),
        ("dog AND cat", [("dog", 1), ("cat", 1)]),
        ("dog or cat", [("dog", 1), ("cat", 1)]),
        ("-(dog cat) horse", [("dog", -1), ("cat", -1), ("horse", 1)]),
        ("(dog -cat)^2 horse", [("dog", 2), ("cat", -2), ("horse", 1)]),
        ("NOT", [("not", 1)]),
        ("without", [("without", 1)]),
        ("dog NOT", [("dog", 1)]),
        ("dog OR", [("dog", 1)]),
        ('dog "NOT" cat', [("dog", 1), ("not", 1), ("cat", 1)]),
        ("dog^0,5 cat", [("dog", 0.5), ("cat", 1)]),
        ("dog^2, cat", [("dog", 2), ("cat", 1)]),
        ("dog ^_^", [("dog", 1)]),
        ('cat "sports car', [("cat", 1), ("sports car", 1)]),
    ],
)
def test_operators_mean_what_people_expect(query: str, understood: list[tuple[str, float]]) -> None:
    assert meaning(query) == understood


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dog^nan", "write a number such as 0.5 or 2 after ^"),
        ("dog^inf", "write a number such as 0.5 or 2 after ^"),
        ("dog^abc", '"abc": write a number'),
        ("dog^2^3", "write a number"),
        ("dog^", "is missing: write a number"),
        ("dog^-1", "To steer away, write -dog"),
        ("dog^0 cat", "leave the word out"),
        ("dog^" + "9" * 400, "write a number"),
        ("dog^10000000", "above 1,000,000"),
    ],
)
def test_an_invalid_weight_is_reported_with_what_to_write(query: str, expected: str) -> None:
    with pytest.raises(InvalidWeight) as raised:
        parse(query)
    assert expected in str(raised.value)
    assert 'The weight of "dog"' in str(raised.value)


def test_a_token_of_many_words_counts_as_many_terms() -> None:
    with pytest.raises(QueryTooLong):
        embed("/".join(["dog"] * (MAX_TERMS + 1)))


@pytest.mark.parametrize(
    "query",
    ["犬" * 805, " ".join(f"犬{n}" * 4 for n in range(MAX_TERMS)), "😀x" * 90, "犬" * 805 + "^-1", "犬^-" + "٣" * 805],
    ids=["one", "many", "astral", "negative", "digits"],
)
def test_errors_quote_only_the_beginning(query: str) -> None:
    with pytest.raises(QueryError) as raised:
        embed(query)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("texts", "query"),
    [
        (["dog"], "dog"),
        (["a photo of a dog"], "dog"),
        (["a", "photo", "of", "the", "dog"], "dog"),
        (["“golden retriever”"], "golden retriever"),
        (["golden", "retriever"], "golden retriever"),
        (["dog", "the"], "dog"),
        (["#dog", "cat!"], "dog cat"),
        (["24/7"], "24/7"),
    ],
)
def test_terms_of_a_list_are_parsed_like_words(texts: list[str], query: str) -> None:
    assert np.array_equal(embed_terms([listed_term(each) for each in texts], VOCABULARY).vector, embed(query).vector)


def test_a_weight_other_than_1_makes_a_term_of_a_list_count() -> None:
    understood = embed_terms([listed_term("the", 2.0), listed_term("dog")], VOCABULARY).understood
    assert [term.words for term in understood] == [("the",), ("dog",)]


def test_vector_times_length_is_the_sum_of_the_terms() -> None:
    found = embed("dog^2 -cat")
    np.testing.assert_allclose(found.vector * found.length, 2 * embed("dog").vector - embed("cat").vector, atol=1e-5)


SIGNS = "\"'“”‘’`-–!^()[]{}<>/_|*#&,;:. "
TYPED = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from((*THINGS, "the", "of", *SIGNS, "NOT", "OR", "^2", "^0.5")), max_size=40).map("".join),
    st.lists(st.sampled_from((*THINGS, "the", "NOT", "OR", "without", "photo", "of", "-cat", "!", '"', "^"))).map(
        " ".join
    ),
)


@settings(deadline=None)  # a machine may be busy
@given(TYPED)
def test_whatever_is_typed_gives_a_vector_or_a_query_error(query: str) -> None:
    found: TextVector | None = None
    with suppress(QueryError):
        found = embed(query)
    if found is not None:
        assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-5)
        assert all(term.weight and term.words for term in found.understood)


@settings(deadline=None)  # a machine may be busy
@given(st.text(max_size=60))
def test_normalizing_characters_is_idempotent(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


words = st.lists(st.sampled_from(THINGS), min_size=1, max_size=6, unique=True).filter(
    lambda chosen: not {"sports", "car"} <= {*chosen} and not {"golden", "retriever"} <= {*chosen}
)
fillers = st.sampled_from([*sorted(FUNCTION_WORDS - {"without"}), "THE", "Of"])


@settings(deadline=None)  # a machine may be busy
@given(words, st.data())
def test_function_words_and_an_introduction_are_ignored(chosen: list[str], data: st.DataObject) -> None:
    typed = list(itertools.chain(*((*data.draw(st.lists(fillers, max_size=3)), word) for word in chosen)))
    carrier = data.draw(st.sampled_from(["", *CARRIERS]))
    assert same(f"{carrier} {' '.join(typed)}", " ".join(chosen))


@settings(deadline=None)  # a machine may be busy
@given(words, st.data())
def test_the_order_of_terms_does_not_matter(chosen: list[str], data: st.DataObject) -> None:
    terms = [word + data.draw(st.sampled_from(["", "^2", "^0.3"])) for word in chosen]
    terms[1:] = [data.draw(st.sampled_from(["", "-"])) + term for term in terms[1:]]
    assert same(" ".join(terms), " ".join(data.draw(st.permutations(terms))))


@settings(deadline=None)  # a machine may be busy
@given(words, st.sampled_from(DECORATIONS))
def test_signs_around_one_of_several_words_do_not_matter(chosen: list[str], decoration: str) -> None:
    *others, last = chosen
    assert same(" ".join([*others, decoration.format(last)]), " ".join(chosen))


def test_a_query_without_words_is_refused() -> None:
    for query in ("", "-", "— –", "“”", "[]", "^", "\u200b", "_"):
        with pytest.raises(EmptyQuery):
            parse(query)
