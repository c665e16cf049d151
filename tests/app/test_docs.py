"""Documentation that can't rot: commands, settings, quantities and benchmarks all stand in it."""

from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from app.cli import app as cli
from app.docs_blocks import BLOCKS, replace_block
from app.site_file import load_site_file

DOCS = Path(__file__).parents[2] / "docs"


def commands() -> list[str]:
    group = get_command(cli)
    names = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        names += [f"{name} {part}" for part in inner] if inner else [name]
    return names


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    assert f"`wattwarden {command}" in (DOCS / "commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", BLOCKS)
def test_generated_tables_are_those_of_the_code(block: str, tmp_path: Path) -> None:
    page, content = BLOCKS[block]
    copy = tmp_path / page
    copy.write_text((DOCS / page).read_text(encoding="utf-8"), encoding="utf-8")
    assert not replace_block(copy, block, content())


@pytest.mark.parametrize("bench", [entry.name for entry in entry_points(group="wattwarden.bench")])
def test_every_benchmark_can_be_loaded_and_is_named_in_the_help(bench: str) -> None:
    (entry,) = entry_points(group="wattwarden.bench", name=bench)
    assert callable(entry.load())
    command = get_command(cli).commands["bench"]  # type: ignore[attr-defined]
    help_text = next(p for p in command.params if p.name == "name").help
    assert bench in help_text


def test_every_page_that_the_readme_links_exists() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    links = [part.split(")")[0].partition("#")[0] for part in readme.split("](")[1:]]
    missing = [link for link in links if not (DOCS.parent / link).exists()]
    assert missing == []


def test_the_site_page_shows_a_site_file_that_passes_the_check(tmp_path: Path) -> None:
    page = (DOCS / "site.md").read_text(encoding="utf-8")
    site, money = (part.split("```")[0] for part in page.split("```toml\n")[1:3])
    roster = page.split("```csv\n")[1].split("```")[0]
    roster += "a-north,3,acrel-ddsy1352,A,1,hall,public,1,60\n"
    (tmp_path / "site.toml").write_text(site + money, encoding="utf-8")
    (tmp_path / "meters.csv").write_text(roster, encoding="utf-8")
    loaded = load_site_file(tmp_path / "site.toml")
    assert loaded.policy.group("dorm").malignant.white_list[0].name == "hair dryer"
    assert loaded.money.tariffs.root["dorm"].versions[1].tiers[1].rate == Decimal("0.80")
    assert loaded.money.payments.campus_card is not None
    assert isinstance(cli, typer.Typer)
