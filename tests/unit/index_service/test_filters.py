import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_service.attributes import AttributePath, JsonValue, Scalar, canonical_number, to_json
from index_service.filters import MAX_VALUES, Condition, Exists, Filter, OneOf, Within, index_statements, to_sql
from tests.unit.index_service.filter_oracle import passes

# Few names and values, so that conditions often match attributes; odd ones, to test quoting.
NAMES = st.sampled_from(["a", "b", "it's", "$", "[0]", "ä ö", "0"])
NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.1, 2.0**53, 2.0**63, 1e300, -1e-300]),
    st.floats(allow_nan=False, allow_infinity=False),
).map(canonical_number)
SCALARS = st.one_of(
    st.sampled_from(
        [
            *("", "1", "2024-06-05", "true", "null", 'quo"te', "back\\slash", "\x1f\x7f\u2028", "ä"),
            # SQLite may end a text at a NUL; the others resemble a NUL.
            *("nul", "nul\x00", "nul\x00byte", "nul\x01", "nul\x01\x03", "nul\\u0000", "nul\\\x00", "\\\\u0001"),
        ]
    ),
    NUMBERS,
    st.booleans(),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=2).map(lambda names: AttributePath(tuple(names)))
BOUNDS = st.one_of(st.none(), NUMBERS, st.sampled_from([float("inf"), float("-inf")]))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "1", "2024", "2024-06", "t", "ä", "nul\x00"]))
CONDITIONS = st.recursive(
    st.one_of(
        st.builds(OneOf, PATHS, st.lists(SCALARS, max_size=3).map(tuple)),
        st.builds(Within, PATHS, BOUNDS, BOUNDS, BOUNDS, BOUNDS),
        st.builds(Within, PATHS, TEXTS, TEXTS, TEXTS, TEXTS, st.just(True)),
        st.builds(Exists, PATHS, st.booleans()),
    ),
    lambda inner: st.builds(Filter, *[st.lists(inner, max_size=2).map(tuple)] * 3),
    max_leaves=6,
)


def rows_that_pass(connection: sqlite3.Connection, condition: Condition) -> list[int]:
    sql = to_sql(condition)
    return [
        row for (row,) in connection.execute(f"SELECT row FROM items WHERE {sql.text} ORDER BY row", sql.parameters)
    ]


@pytest.fixture
def items() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE items (row INTEGER PRIMARY KEY, attributes TEXT NOT NULL)")
    yield connection
    connection.close()


def insert(connection: sqlite3.Connection, *attributes: dict[str, JsonValue]) -> None:
    connection.executemany("INSERT INTO items (attributes) VALUES (?)", [(to_json(each),) for each in attributes])


@given(attributes=st.lists(ATTRIBUTES, min_size=1, max_size=6), condition=CONDITIONS, indexed=st.booleans())
def test_sql_agrees_with_the_oracle(
    attributes: list[dict[str, JsonValue]], condition: Condition, indexed: bool
) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE items (row INTEGER PRIMARY KEY, attributes TEXT NOT NULL)")
    if indexed:
        for statement in index_statements(AttributePath(("a",)), 0):
            connection.execute(statement)
    insert(connection, *attributes)
    found = rows_that_pass(connection, condition)
    connection.close()
    assert found == [row for row, each in enumerate(attributes, 1) if passes(condition, each)]


def test_equality_on_an_indexed_attribute_reads_only_the_index(items: sqlite3.Connection) -> None:
    path = AttributePath.parse("image.sha256")
    for statement in index_statements(path, 0):
        items.execute(statement)
    sql = to_sql(Filter(must=(OneOf(path, ("abc",)),)))
    plan = " ".join(
        row[3] for row in items.execute(f"EXPLAIN QUERY PLAN SELECT row FROM items WHERE {sql.text}", sql.parameters)
    )
    assert "USING INDEX attribute_0_value" in plan
    assert "SCAN items" not in plan


def test_the_maximum_number_of_values_fits_into_a_statement(items: sqlite3.Connection) -> None:
    insert(items, {"n": MAX_VALUES - 1}, {"n": [MAX_VALUES]})
    assert rows_that_pass(items, OneOf(AttributePath.parse("n"), tuple(range(MAX_VALUES)))) == [1]


@pytest.mark.parametrize("path", ["a' OR 1=1 --", "a'); DROP TABLE items; --", "x]", "$"])
def test_a_path_cannot_leave_its_literal(items: sqlite3.Connection, path: str) -> None:
    insert(items, {"a": 1}, {path: 1})
    assert rows_that_pass(items, Exists(AttributePath((path,)), present=True)) == [2]


@pytest.mark.parametrize(
    ("element", "value"), [(None, "x"), ("x\x00", "x"), ("\\u0000", "\x00"), (0.1, 0.2), ([1], 1)], ids=ascii
)
def test_the_elements_of_a_list_are_not_looked_up_one_by_one(
    items: sqlite3.Connection, element: JsonValue, value: Scalar
) -> None:
    plain, lookups = sqlite3.connect(":memory:"), 0

    def look_up(text: str, path: str) -> str | None:
        nonlocal lookups
        lookups += 1
        ((found,),) = plain.execute("SELECT ? -> ?", (text, path))
        return None if found is None else str(found)

    items.create_function("->", 2, look_up, deterministic=True)
    insert(items, {"a": [element] * 1_000})
    assert rows_that_pass(items, OneOf(AttributePath.parse("a"), (value,))) == []
    insert(items, {"a": [*[element] * 1_000, value]})
    assert rows_that_pass(items, OneOf(AttributePath.parse("a"), (value,))) == [2]
    plain.close()
    assert 0 < lookups < 10
