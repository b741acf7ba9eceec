import pyarrow as pa

from xlnu import rows


def test_ids_come_from_content_alone_and_stay_what_they_are() -> None:
    assert rows.row_id("What is rain?", "") == "0f1aaedf07be3049da3509b7ba6018eb"
    assert rows.row_id("a", 1) == rows.row_id("a", 1)


def test_no_two_contents_share_an_id() -> None:
    alike = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", ""),
        ("1",),
        (1,),
        ("a\u0301",),
        ("\u00e1",),
        ("\ud800",),
        ("",),
    ]
    assert len({rows.row_id(*content) for content in alike}) == len(alike)


def test_every_schema_has_an_id_and_a_reason() -> None:
    schemas = [value for value in vars(rows).values() if isinstance(value, pa.Schema)]
    assert len(schemas) >= 2
    for schema in schemas:
        assert [schema.field(name) for name in ("id", "reject")] == rows.ROW
