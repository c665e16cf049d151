"""Which shape of readings a client's Accept header asks for."""

import pytest

from api.formats import Format, choose_format


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, Format.JSON),
        ("*/*", Format.JSON),
        ("text/csv", Format.CSV),
        ("TEXT/CSV; charset=utf-8", Format.CSV),
        ("text/*", Format.CSV),
        ("application/vnd.apache.parquet", Format.PARQUET),
        ("application/vnd.apache.arrow.stream", Format.ARROW),
        ("text/csv;q=0.5, application/vnd.apache.parquet", Format.PARQUET),
        ("text/csv;q=0.9, application/json;q=0.8", Format.CSV),
        ("application/json;q=0, */*", Format.CSV),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.JSON),
        ("text/html", None),
        ("text/csv;q=0", None),
        ("text/csv;q=much", None),
    ],
)
def test_the_best_liked_format_is_chosen(accept, chosen):
    assert choose_format(accept) is chosen
