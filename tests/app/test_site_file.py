"""A bad configuration lists all its faults at once, each with file and key or line."""

from pathlib import Path

import pytest

from app.cli.site import site_toml
from app.roster import COLUMNS, parse_roster, write_roster
from app.site_file import load_site_file
from domain.errors import InvalidInput

GOOD = """
[site]
name = "north-college"
time_zone = "Asia/Shanghai"
roster = "meters.csv"

[[bus]]
name = "b1"
link = "rtu-over-tcp"
host = "127.0.0.1"
tcp_port = 9001

[policy.groups.dorm.overpower]
limit_w = 800
night_limit_w = 300
night_from = 23:00:00
"""
HEADER = "bus,unit_id,profile,building,floor,room,kind,phases,rated_current_a\n"
ROW = "b1,1,acrel-ddsy1352,A,1,101,dorm,1,60\n"


def write(folder: Path, site: str = GOOD, roster: str = HEADER + ROW) -> Path:
    (folder / "meters.csv").write_text(roster, encoding="utf-8")
    path = folder / "site.toml"
    path.write_text(site, encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load_site_file(path)
    return [str(fault) for fault in caught.value.faults]


def test_a_good_site_file_gives_site_policy_settings_and_profiles(tmp_path: Path) -> None:
    loaded = load_site_file(write(tmp_path))
    assert [meter.name for meter in loaded.site.meters] == ["A-101"]
    assert loaded.policy.group("dorm").overpower.limit_w == 800
    assert loaded.settings.series == "duckdb"
    assert "acrel-ddsy1352" in loaded.profiles


def test_every_fault_is_listed_at_once_with_file_and_key(tmp_path: Path) -> None:
    site = GOOD.replace("Asia/Shanghai", "Mars/Base").replace("tcp_port = 9001", "baud = 7")
    site += "\n[settings]\nspeed = 3\napi_port = 99999\n[extra]\nx = 1\n[policy.shed]\ncap_w = -1\n"
    roster = HEADER + ROW + "b2,1,no-such,A,1,102,dorm,1,60\nb1,500,acrel-ddsy1352,A,1,,dorm,2,x\n"
    found = "\n".join(faults(write(tmp_path, site, roster)))
    for expected in (
        "site.toml: site.time_zone: no such time zone",
        "site.toml: bus[0].baud",
        "site.toml: settings.speed: unknown key",
        "site.toml: settings.api_port",
        "site.toml: extra: unknown section",
        "site.toml: policy.shed.cap_w",
        "no bus 'b2'",
        "no profile 'no-such'",
        "meters.csv:4 unit_id",
        "meters.csv:4 room",
        "meters.csv:4 phases",
        "meters.csv:4 rated_current_a",
    ):
        assert expected in found


@pytest.mark.parametrize(
    ("roster", "expected"),
    [
        ("", "column 'bus' is missing"),
        (HEADER.replace("kind", "sort") + ROW, "unknown column 'sort'"),
        (HEADER, "no meter in the roster"),
        (HEADER + ROW.strip() + ",7,8\n", "more fields than columns"),
        (HEADER + ROW + ROW.replace(",101,", ",102,"), "unit 1 of bus b1 stands 2 times"),
        (HEADER + ROW + ROW.replace("b1,1,", "b1,2,"), "the meter name 'A-101' stands 2 times"),
    ],
)
def test_a_bad_roster_says_where_and_what(tmp_path: Path, roster: str, expected: str) -> None:
    assert any(expected in fault for fault in faults(write(tmp_path, roster=roster)))


def test_a_missing_roster_and_broken_toml_are_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "meters.csv").unlink()
    assert any("meters.csv: no such file" in fault for fault in faults(path))
    path.write_text("[site\n", encoding="utf-8")
    assert any("not valid TOML" in fault for fault in faults(path))
    assert any("no such file" in fault for fault in faults(tmp_path / "nowhere.toml"))


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, GOOD + "\n[settings]\napi_port = 1000\nslow_every_s = 9\n")
    monkeypatch.setenv("WATTWARDEN_API_PORT", "2000")
    settings = load_site_file(path).settings
    assert (settings.api_port, settings.slow_every_s) == (2000, 9)


def test_what_is_exported_is_read_back_the_same(tmp_path: Path) -> None:
    loaded = load_site_file(write(tmp_path))
    again = tmp_path / "again"
    again.mkdir()
    (again / "meters.csv").write_text(write_roster(loaded.site.meters), encoding="utf-8")
    (again / "site.toml").write_text(site_toml(loaded.site, loaded.policy), encoding="utf-8")
    repeated = load_site_file(again / "site.toml")
    assert (repeated.site, repeated.policy) == (loaded.site, loaded.policy)


def test_roster_text_round_trips_every_column() -> None:
    text = ",".join(COLUMNS) + "\nb1,9,acrel-ddsy1352,A,1,1,shop,1,20,shop-1,market,yes,3\n"
    meters, wrong = parse_roster(text, "meters.csv")
    assert not wrong
    assert parse_roster(write_roster(meters), "meters.csv") == (meters, [])
    assert (meters[0].head, meters[0].shed_priority, meters[0].group) == (True, 3, "market")
