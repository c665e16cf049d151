"""Users, sign-ins and appeals in the ledger's database, of each kind."""

from dataclasses import replace
from datetime import timedelta

import pytest
from api_station import NOON

from domain.errors import UnknownSubject
from domain.identity import Role
from domain.users import (
    AlreadyThere,
    ApiToken,
    Appeal,
    AppealQuery,
    AppealStatus,
    ExternalLogin,
    Session,
    SignInState,
    TokenFamily,
    User,
)
from storage.books.users import SqlUserStore
from storage.ledger.sql_ledger import SqlLedger

USER = User(
    "wang", frozenset({Role.STUDENT, Role.ANALYST}), "2023001", "$argon2id$x", 3, "code",
    NOON, NOON, NOON, "ada", NOON,
)  # fmt: skip
SESSION = Session("s1", "wang", 3, "csrf", NOON, NOON, "oidc", "10.0.0.1", "Mozilla")
FAMILY = TokenFamily("f1", "wang", 3, 7, "hash", NOON, NOON + timedelta(days=30))
TOKEN = ApiToken(
    "t1", "wang", "notebook", frozenset({Role.ANALYST}), "hash", NOON, NOON + timedelta(days=90)
)
LOGIN = ExternalLogin("oidc", "https://id.example|s-1", "wang")
APPEAL = Appeal("a1", "c1", "B1-0101", "b1-101", "2023001", "no", NOON)


@pytest.fixture
def store(database_url):
    ledger = SqlLedger(database_url)
    yield SqlUserStore(ledger)
    ledger.close()


def test_what_is_kept_is_loaded_again_just_so(store):
    store.add(USER, LOGIN, SESSION).result(10)
    store.save(FAMILY, TOKEN).result(10)
    expected = SignInState((USER,), (LOGIN,), (SESSION,), (FAMILY,), (TOKEN,))
    assert store.load(NOON) == expected


def test_a_name_is_taken_once_and_nothing_of_a_refused_user_stays(store):
    store.add(USER).result(10)
    with pytest.raises(AlreadyThere):
        store.add(replace(USER, person=None), SESSION).result(10)
    assert store.load(NOON) == SignInState(users=(USER,))


def test_what_has_ended_is_not_loaded(store):
    ended = {"ended_at": NOON}
    store.save(replace(SESSION, **ended), replace(FAMILY, **ended), replace(TOKEN, **ended))
    store.save(replace(FAMILY, id="f2", expires_at=NOON), replace(TOKEN, id="t2", expires_at=NOON))
    assert store.load(NOON) == SignInState()


def test_old_sign_ins_are_dropped_and_users_never(store):
    before = NOON - timedelta(days=1)
    store.add(USER).result(10)
    store.save(replace(SESSION, seen_at=before), replace(SESSION, id="s2")).result(10)
    store.save(replace(FAMILY, ended_at=before), replace(TOKEN, expires_at=before)).result(10)
    assert store.prune(NOON).result(10) == 3
    assert store.load(before) == SignInState(users=(USER,), sessions=(replace(SESSION, id="s2"),))


def test_a_room_appeals_once_against_a_trip(store):
    store.file_appeal(APPEAL).result(10)
    with pytest.raises(AlreadyThere):
        store.file_appeal(replace(APPEAL, id="a2", person="2023002")).result(10)
    other = replace(APPEAL, id="a3", account="b1-201", filed_at=NOON + timedelta(hours=1))
    store.file_appeal(other).result(10)
    assert store.appeals(AppealQuery()) == [other, APPEAL]
    assert store.appeals(AppealQuery(account="b1-101")) == [APPEAL]
    assert store.appeals(AppealQuery(since=NOON + timedelta(seconds=1))) == [other]
    assert store.appeals(AppealQuery(limit=1)) == [other]
    assert store.appeals(AppealQuery(status=AppealStatus.ACCEPTED)) == []


def test_an_appeal_is_answered_once(store):
    store.file_appeal(APPEAL).result(10)
    yes = ("a1", AppealStatus.ACCEPTED, "wired wrong", "olga", NOON)
    answered = store.answer_appeal(*yes).result(10)
    assert store.appeal("a1") == answered
    assert (answered.status, answered.answered_by) == (AppealStatus.ACCEPTED, "olga")
    assert store.answer_appeal(*yes).result(10) == answered
    with pytest.raises(AlreadyThere):
        store.answer_appeal("a1", AppealStatus.REJECTED, "no", "olga", NOON).result(10)
    with pytest.raises(UnknownSubject):
        store.answer_appeal("a9", AppealStatus.REJECTED, "no", "olga", NOON).result(10)
    assert store.appeal("a9") is None
