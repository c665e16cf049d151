"""A station that is killed between a commit and its answer: asked again, it has credited once."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pay_office import Office

SCRIPT = Path(__file__).with_name("dying_station.py")


@pytest.fixture
def folder(tmp_path, blank_ledger):
    shutil.copy(blank_ledger, tmp_path / "ledger.db")
    return tmp_path


def kill(folder, moment, office, card, notice=None):
    """Have a station do something in a process of its own, and die at a moment."""
    task = {
        "secret": card.secret.decode(),
        "url": card.url,
        "notify_url": office.settings.notify_url,
        "headers": dict(notice.headers) if notice else {},
        "body": notice.body.decode() if notice else "",
    }
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, moment],
        input=json.dumps(task).encode(),
        capture_output=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == -9, done.stderr.decode()


@pytest.mark.parametrize(("moment", "credited"), [("before-answer", 5000), ("before-commit", 0)])
def test_a_notice_whose_answer_was_lost_is_credited_once_when_it_comes_again(
    folder, card, moment, credited
):
    office = Office(folder, card)
    order = office.order(5000)
    card.mark_paid(order.id)
    notice = card.notice(card.trades[order.id])
    office.close()
    kill(folder, moment, office, card, notice)
    office = Office(folder, card, notify_url=office.settings.notify_url)
    assert office.balance() == credited
    for _ in range(2):
        assert office.payments.notice("campus-card", notice.headers, notice.body).status == 200
    assert (office.balance(), office.cleared()) == (5000, 5000)
    office.close()


def test_an_order_whose_answer_was_lost_is_the_same_order_when_asked_again(folder, card):
    office = Office(folder, card)
    office.close()
    kill(folder, "before-order-is-told", office, card)
    (known,) = card.trades
    office = Office(folder, card)
    order = office.order(5000)
    assert (order.id, order.state, list(card.trades)) == (known, "pending", [known])
    office.close()
