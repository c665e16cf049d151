"""docs/tariffs.md: every example is recomputed, every key of a tariff is named."""

import re
import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from billing.tariff import Band, Fees, FreeEnergy, Season, Tariff, TariffVersion, Tier

PAGE = (Path(__file__).parents[2] / "docs" / "tariffs.md").read_text(encoding="utf-8")
ZONE = ZoneInfo("Asia/Shanghai")
EXAMPLES = re.findall(
    r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE.split("## Worked examples")[1], re.M | re.S
)


def tables(text):
    """Return the tables of a text as lists of rows, by the first word of their heads."""
    found = {}
    for block in re.findall(r"((?:^\|.*\n)+)", text, re.M):
        rows = [
            [cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()
        ]
        found[rows[0][0]] = rows[2:]
    return found


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def micro(text):
    return int(Decimal(text) * 1_000_000)


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_comes_to_the_bill_that_stands_under_it(make_station, name, text):
    tariff = Tariff.model_validate(tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S)[1]))
    people = int(re.search(r"Use, (\d+) person", text)[1])
    shown = tables(text)
    usage = [(moment(begin), moment(end), int(wh)) for begin, end, wh in shown["from"]]
    (bill,) = make_station().charger.preview_usage(tariff, usage, people)
    lines = [
        [str(line.key.version), line.key.band.value, str(line.key.tier), str(line.energy_wh),
         str(line.free_wh), str(line.rate), line.amount_micro]
        for line in bill.lines
    ]  # fmt: skip
    told = [[*cells[:-1], micro(cells[-1])] for cells in shown["tariff"]]
    assert sorted(lines) == sorted(told)
    assert bill.fees_micro == {name: micro(amount) for name, amount in shown.get("fee", [])}


def test_there_are_examples():
    assert len(EXAMPLES) == 4


def test_every_key_of_a_tariff_is_named():
    for model in (Tariff, TariffVersion, Tier, Season, FreeEnergy, Fees):
        for key in set(model.model_fields) - {"versions", "number"}:
            assert f"`{key}" in PAGE, f"{model.__name__}.{key}"
    for band in set(Band) - {Band.ALL}:
        assert f"`{band.value}`" in PAGE
