"""The office's commands against a station on a real port."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from office import TODAY, Office
from test_api import ask  # noqa: F401 - the fixture builds the application
from typer.testing import CliRunner, Result

from app.cli import app as cli
from domain.errors import InvalidInput, WattwardenError

LOADS_WITHIN_S = 10.0


@pytest.fixture
def run(office: Office, ask: object) -> Iterator[object]:  # noqa: F811
    """Serve the office on a free port and return a function that runs a command against it."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(office.app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    ends = time.monotonic() + LOADS_WITHIN_S
    while not server.started and time.monotonic() < ends:
        threading.Event().wait(0.01)

    def call(*words: str) -> Result:
        result = CliRunner().invoke(cli, [*words, "--url", url], terminal_width=200)
        if isinstance(result.exception, WattwardenError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    yield call
    server.should_exit = True
    thread.join(LOADS_WITHIN_S)


def test_people_are_imported_in_two_steps_and_exported(run, office: Office, tmp_path: Path) -> None:
    office.room("305")
    file = tmp_path / "people.csv"
    file.write_text("person,name,account\ns1,张三,b1-305\n", encoding="utf-8")
    shown = run("people", "import", str(file)).output
    assert "1 added, 0 changed, 1 moved-in" in shown
    assert office.directory.people() == []
    digest = shown.split("--apply ")[1].split()[0]
    assert "done" in run("people", "import", str(file), "--apply", digest).output
    assert [one.name for one in office.directory.occupants("b1-305", TODAY)] == ["张三"]
    assert "张三" in run("people", "list", "--account", "b1-305").output
    out = tmp_path / "out.xlsx"
    run("people", "export", str(out), "--history")
    again = run("people", "import", str(out)).output
    assert "1 unchanged" in again
    assert "--apply" not in again


def test_every_fault_of_a_file_reaches_the_terminal(run, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("person,name,phone\n?,A,12\n", encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        run("people", "import", str(file))
    sources = [fault.source for fault in caught.value.faults]
    assert sources == ["people.csv:2 person", "people.csv:2 phone"]
    with pytest.raises(InvalidInput, match="can't be read"):
        run("people", "import", str(tmp_path / "none.csv"))
    with pytest.raises(InvalidInput, match=r"must end with \.csv or \.xlsx"):
        run("people", "export", str(tmp_path / "out.pdf"))


def test_accounts_are_opened_listed_moved_and_closed(run, office: Office) -> None:
    assert "2 opened; 2 meters wait" in run("accounts", "open-all").output
    run("accounts", "open", "B1", "305", "--key", "k1")
    assert "(done before)" in run("accounts", "open", "B1", "305", "--key", "k1").output
    office.recharge("b1-305", 5000, "o1")
    office.people("b1-305", "s1")
    listed = run("accounts", "list", "--building", "B1").output
    assert "b1-305" in listed
    assert "50.00" in listed
    run("accounts", "move", "b1-305", "b1-101", "--reason", "swap", "--amount", "12.50")
    assert office.balance("b1-101") == 12_500_000
    run("accounts", "close", "b1-305", "--reason", "left", "--cashier", "till")
    assert office.books.balance("cash:till") == 37_500_000


def test_money_by_hand_waits_for_a_second_person(run, office: Office) -> None:
    office.room("305")
    office.room("306")
    office.recharge("b1-305", 5000, "o1")
    asked = ("accounts", "transfer", "b1-305", "b1-306", "recharge:o1", "20", "--reason", "typo")
    assert "t1 waiting: 20.00" in run(*asked, "--key", "t1").output
    assert "t1" in run("accounts", "requests").output
    with pytest.raises(WattwardenError, match="a second person has to agree"):
        run("accounts", "approve", "t1", "--reason", "yes")
    assert "withdrawn" in run("accounts", "refuse", "t1", "--reason", "mistake").output
    run("accounts", "adjust", "b1-305", "1.00", "--down", "--reason", "x", "--key", "a1")
    assert office.accounts.money_request("a1").amount_micro == -1_000_000


def test_a_station_that_does_not_answer_is_told_with_the_key_to_try_again(tmp_path: Path) -> None:
    words = ["accounts", "open", "B1", "1", "--url", "http://127.0.0.1:1", "--key", "k"]
    result = CliRunner().invoke(cli, words)
    assert isinstance(result.exception, WattwardenError)
    assert "no station answers" in str(result.exception)
