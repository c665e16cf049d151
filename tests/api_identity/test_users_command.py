"""`wattwarden users`: in the ledger of a stopped station, and through a running one."""

import json

import pytest
from campus import PASSWORD, TOKEN, sign_in
from typer.testing import CliRunner

from app.cli import app as cli
from app.http_server import HttpServer
from app.site_file import load_site_file

SITE = """
[site]
name = "north"
time_zone = "Asia/Shanghai"
roster = "meters.csv"

[[bus]]
name = "b1"
link = "rtu-over-tcp"
host = "127.0.0.1"
tcp_port = 9001
"""
ROSTER = """bus,unit_id,profile,building,floor,room,kind,phases,rated_current_a
b1,1,acrel-ddsy1352,B1,1,101,dorm,1,60
"""
# Nothing listens on the port that TCP keeps for nobody.
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    (tmp_path / "meters.csv").write_text(ROSTER, encoding="utf-8")
    load_site_file(tmp_path / "site.toml")
    return tmp_path / "site.toml"


def run(*words: str):
    return CliRunner().invoke(cli, ["users", *words], catch_exceptions=True)


def test_the_first_admin_is_made_in_the_ledger_of_a_stopped_station(site):
    more = ("--site", str(site), "--url", NOWHERE, "--json")
    made = json.loads(run("add", "Boss", "--role", "admin", *more).output)
    assert made["user"]["name"] == "boss"
    assert len(made["code"]) == 19
    again = run("add", "boss", "--role", "admin", *more)
    assert "already" in str(again.exception)
    listed = json.loads(run("list", *more).output)
    assert [(u["name"], u["has_password"]) for u in listed["users"]] == [("boss", False)]
    fresh = json.loads(run("reset", "boss", *more).output)
    assert fresh["code"] != made["code"]
    assert "last admin" in str(run("disable", "boss", *more).exception)


async def test_a_running_station_is_asked_over_its_api(campus, site):
    server = HttpServer("127.0.0.1", 0)
    server.start(campus.app)
    try:
        more = ("--url", server.url, "--token", TOKEN, "--json", "--site", str(site))
        made = json.loads(run("add", "new", "--role", "finance", "--role", "analyst", *more).output)
        assert made["user"]["roles"] == ["analyst", "finance"]
        assert json.loads(run("disable", "olga", *more).output)["users"][0]["disabled"] is True
        async with campus.browser() as browser:
            assert (await sign_in(browser, "olga", PASSWORD)).status_code == 401
        run("enable", "olga", *more)
        refused = run("add", "x", "--role", "student", *more)
        assert "tied to a person" in str(refused.exception)
        wrong = run("list", "--url", server.url, "--token", "wrong", "--site", str(site))
        assert "not the right one" in str(wrong.exception)
    finally:
        server.stop()
    assert campus.user("new").created_by == "station"


def test_without_a_station_and_a_site_file_it_says_what_to_do(tmp_path):
    answer = run("list", "--url", NOWHERE, "--site", str(tmp_path / "none.toml"))
    assert "wattwarden run" in str(answer.exception)
