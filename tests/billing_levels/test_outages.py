"""A full outbox, a store that is down, a crash half-way: told once all the same, and nobody cut."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from arrears_campus import SHANGHAI, Campus

from billing.arrears import ArrearsKeeper
from domain.errors import StoreUnavailable
from domain.messages import Notice
from storage.books.levels import SqlLevels


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    made = Campus(tmp_path)
    yield made
    made.stop()


def break_tell(campus: Campus) -> None:
    """Let the outbox refuse everything until the next start."""

    def tell(notices: Sequence[Notice]) -> int:
        raise StoreUnavailable(f"{len(notices)} notices are too many")

    campus.keeper = ArrearsKeeper(
        campus.balances.get, campus.rooms, campus.policy, SqlLevels(campus.ledger), campus.clock,
        SHANGHAI, lambda _: 1.0, tell, withdraw=campus.notifier.withdraw,
    )  # fmt: skip


def test_what_the_outbox_refused_is_told_by_a_later_round(campus: Campus) -> None:
    break_tell(campus)
    campus.has(8, "b1-102")
    assert campus.check("b1-102") == {"m1": False}
    campus.keeper._tell = campus.notifier.tell
    campus.check("b1-102")
    campus.check("b1-102")
    assert campus.mail.told() == [("s3", "level-warn")]


def test_a_crash_before_the_outbox_had_it_tells_after_the_restart_and_once(
    campus: Campus,
) -> None:
    break_tell(campus)
    campus.has(8, "b1-102")
    campus.check("b1-102")
    campus.restart()
    campus.check("b1-102")
    campus.check("b1-102")
    assert campus.mail.told() == [("s3", "level-warn")]


def test_a_crash_after_the_outbox_had_it_tells_nothing_twice(campus: Campus) -> None:
    campus.has(8, "b1-102")
    campus.keeper.check(["b1-102"])  # queued; that it was is not written down yet
    campus.restart()
    campus.check("b1-102")
    campus.check("b1-102")
    assert campus.mail.told() == [("s3", "level-warn")]


def test_nobody_is_cut_while_the_outbox_refuses_the_warning(campus: Campus) -> None:
    break_tell(campus)
    campus.has(-1, "b1-102")
    campus.check("b1-102")
    campus.at("2026-03-06 08:00")
    assert campus.check("b1-102") == {"m1": None}


def test_a_payment_ends_arrears_although_the_store_is_down(
    campus: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    campus.has(-1, "b1-102")
    campus.check("b1-102")
    campus.at("2026-03-05 08:00")
    assert campus.check("b1-102") == {"m1": True}

    def down(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SqlLevels, "save", down)
        broken.setattr(SqlLevels, "tried", down)
        campus.has(5, "b1-102")
        assert [one.violated for one in campus.keeper.check(["b1-102"])] == [False]
    campus.check("b1-102")
    campus.restart()
    view = campus.keeper.level("b1-102")
    assert view is not None
    assert (view.level, view.cut_at) == ("warn", None)
