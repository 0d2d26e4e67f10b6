"""The form of `.sql` files: every query named once, described, and loaded as it is written."""

import pytest

from chartwire.store.queries import QueryFileError, load, q


def write(folder, text, name="a.sql"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_query_is_found_by_name_with_its_description_and_without_its_semicolon(tmp_path):
    queries = load(
        write(tmp_path, "-- name: one\n-- The number one.\nselect 1\n  -- inner\n;\n\n-- name: two\n-- 2.\nselect 2;\n")
    )
    assert queries.one.endswith("select 1\n  -- inner\n")
    assert queries["two"].endswith("select 2")
    assert queries.description("one") == "The number one."
    assert list(queries) == ["one", "two"]


def test_what_is_no_name_is_taken_for_sql(tmp_path):
    queries = load(write(tmp_path, "-- name: one\n-- One.\nselect 1;\n"))
    assert queries.text("one") == queries.one
    assert queries.text("select 2") == "select 2"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_query"):
        _ = q.no_such_query


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 1;\n", "SQL before the first"),
        ("-- name: one\nselect 1;\n", "no descriptive comment"),
        ("-- name: One\n-- One.\nselect 1;\n", "not snake_case"),
        ("-- name: one\n-- One.\n\n", "no SQL"),
        ("-- name: one\n-- One.\nselect 1;\n-- name: one\n-- Again.\nselect 2;\n", "defined twice"),
    ],
)
def test_a_file_out_of_form_is_refused_with_its_place(tmp_path, text, reason):
    with pytest.raises(QueryFileError, match=reason) as refusal:
        load(write(tmp_path, text))
    assert str(refusal.value).startswith("a.sql")


def test_the_same_name_in_two_files_is_refused(tmp_path):
    entry = "-- name: one\n-- One.\nselect 1;\n"
    write(tmp_path, entry)
    with pytest.raises(QueryFileError, match=r"b\.sql: query one is defined twice"):
        load(write(tmp_path, entry, "b.sql"))


def test_every_query_of_the_product_is_one_statement():
    for name in q:
        statement = "\n".join(line for line in q[name].splitlines() if not line.lstrip().startswith("--"))
        assert ";" not in statement.replace("';'", ""), name
