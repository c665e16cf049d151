"""The command line as a user meets it: clear errors, exit codes, JSON that a script can read."""

import json
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.access import access_token, kept_token
from app.settings import Settings
from app.site_file import load_site_file
from app.stores import open_series
from domain.frame import sweep_frame

SITE = """
[site]
name = "small"
time_zone = "Asia/Shanghai"
roster = "meters.csv"
[[bus]]
name = "b1"
link = "rtu-over-tcp"
host = "127.0.0.1"
tcp_port = 1
timeout_s = 0.1
"""
ROSTER = (
    "bus,unit_id,profile,building,floor,room,kind,phases,rated_current_a\n"
    "b1,1,acrel-ddsy1352,A,1,101,dorm,1,60\n"
)


def write(folder: Path, extra: str = "") -> Path:
    (folder / "meters.csv").write_text(ROSTER, encoding="utf-8")
    path = folder / "site.toml"
    path.write_text(SITE + extra, encoding="utf-8")
    return path


def wattwarden(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    code = "from app.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_check_accepts_a_good_site_and_lists_all_faults_of_a_bad_one(tmp_path: Path) -> None:
    assert wattwarden("check", write(tmp_path)).returncode == 0
    bad = wattwarden("check", write(tmp_path, "[settings]\nspeed = 1\napi_port = -2\n"))
    assert bad.returncode == 2
    assert "2 fault(s)" in bad.stderr
    assert "settings.speed: unknown key" in bad.stderr
    answer = json.loads(wattwarden("check", "--json", tmp_path / "site.toml").stdout)
    assert (answer["ok"], len(answer["faults"])) == (False, 2)


def test_load_and_export_bring_the_same_site_back(tmp_path: Path) -> None:
    site = write(tmp_path)
    assert wattwarden("site", "load", site).returncode == 0
    out = tmp_path / "out"
    exported = wattwarden("site", "export", out, "--site", site)
    assert exported.returncode == 0, exported.stderr
    assert wattwarden("check", out / "site.toml").returncode == 0
    again = wattwarden("site", "export", out, "--site", site)
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)


def test_run_refuses_another_address_without_a_token(tmp_path: Path) -> None:
    site = write(tmp_path, '[settings]\napi_host = "0.0.0.0"\n')
    refused = wattwarden("run", site)
    assert refused.returncode == 2
    assert "access token" in refused.stderr
    assert not (tmp_path / "var").exists()


def test_reading_an_unreachable_meter_says_which_bus(tmp_path: Path) -> None:
    answer = wattwarden("scan", "b1", "--units", "1", "--site", write(tmp_path))
    assert answer.returncode == 2
    assert "b1" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_unknown_names_are_told_with_the_known_ones(tmp_path: Path) -> None:
    site = write(tmp_path)
    assert "no meter 'nobody'" in wattwarden("read", "nobody", "--site", site).stderr
    assert "it has b1" in wattwarden("scan", "b9", "--site", site).stderr
    assert "known: api, detect" in wattwarden("bench", "nothing").stderr


def test_a_command_without_a_station_says_how_to_start_one(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1"
    answer = wattwarden("trip", "A-101", "--url", url, "--site", tmp_path / "none.toml")
    assert answer.returncode == 2
    assert "wattwarden run" in answer.stderr


def test_a_permitted_load_is_learned_from_stored_samples(tmp_path: Path) -> None:
    site = write(tmp_path)
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    rows = [
        {
            "time": start + timedelta(seconds=2 * number), "meter": "A-101", "quality": "good",
            "power_w": 100.0 if number < 5 else 1300.0, "voltage_v": 220.0,
            "current_a": 0.5 if number < 5 else 5.95, "power_factor": 0.99,
        }
        for number in range(15)
    ]  # fmt: skip
    series = open_series(load_site_file(site).settings)
    series.write(sweep_frame(rows))
    series.close()
    times = ("--from", "2026-05-01T12:00Z", "--to", "2026-05-01T12:01Z")
    found = wattwarden("learn", "A-101", "--name", "hair dryer", *times, "--site", site)
    assert found.returncode == 0, found.stderr
    (entry,) = tomllib.loads(found.stdout)["policy"]["groups"]["dorm"]["malignant"]["white_list"]
    assert entry["power_w"] == pytest.approx(1200, rel=0.01)
    assert (entry["learned"], entry["meters"]) == (True, ["A-101"])
    nothing = wattwarden("learn", "A-101", "--name", "x", *times[:3], "2026-05-01T12:00:08Z",
                         "--site", site)  # fmt: skip
    assert (nothing.returncode, "recording" in nothing.stderr) == (2, True)


def test_the_made_token_is_kept_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    token = access_token(settings)
    assert len(token) >= 32
    assert access_token(settings) == token == kept_token(settings.data_dir)
    assert (settings.data_dir / "access-token").stat().st_mode & 0o077 == 0
