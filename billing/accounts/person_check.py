"""Checks and normal forms of what is known about a person: number, name, phone, e-mail."""

import re
import unicodedata

from billing.model import Person
from domain.catalogue.language import LANGUAGES
from domain.errors import InvalidInput
from domain.faults import Fault

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")
INTERNATIONAL = re.compile(r"\+[1-9]\d{6,14}")
# What stands between digits when people write numbers down.
PHONE_FILLERS = re.compile(r"[\s().·\-‐‑–—]")
EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
EMAIL_MOST = 254
NAME_MOST = 100


def checked_person(person: Person, source: str = "") -> Person:
    """Return a person in normal form. Raises InvalidInput with every fault."""
    checked, faults = check_person(person, source)
    if faults:
        raise InvalidInput(faults)
    return checked


def check_person(person: Person, source: str = "") -> tuple[Person, list[Fault]]:
    """Return a person in normal form, and every fault, each named by its field."""
    lead = f"{source} " if source else ""
    phone, email = normal_phone(person.phone), normal_email(person.email)
    faults = [
        Fault(f"{lead}{field}", words, person.id)
        for field, words in (
            ("person", person_id_fault(person.id)),
            ("name", _name_fault(person.name)),
            ("phone", "" if phone is not None else _phone_words(person.phone)),
            ("email", "" if email is not None else f"is no e-mail address: {person.email!r}"),
            ("language", _language_fault(person.language)),
        )
        if words
    ]
    name = unicodedata.normalize("NFC", " ".join(person.name.split()))
    normal = Person(person.id, name, phone or "", email or "", person.language)
    return normal, faults


def person_id_fault(person_id: str) -> str:
    """Say what is wrong with a student or staff number; empty when nothing is."""
    if ID.fullmatch(person_id):
        return ""
    return f"must be 1 to 40 of letters, digits, . _ - (given: {person_id!r})"


def normal_phone(text: str) -> str | None:
    """Return a phone number in normal form, '' for none, None for what is no number.

    A Chinese mobile number is its 11 digits; any other is + with the country's code and digits.
    """
    plain = PHONE_FILLERS.sub("", unicodedata.normalize("NFKC", text))
    if not plain:
        return ""
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    for lead in ("+86", "86"):
        if plain.startswith(lead) and CHINESE_MOBILE.fullmatch(plain[len(lead) :]):
            plain = plain[len(lead) :]
    if CHINESE_MOBILE.fullmatch(plain) or INTERNATIONAL.fullmatch(plain):
        return plain
    return None


def normal_email(text: str) -> str | None:
    """Return an address with its domain in small letters, '' for none, None for what is none."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain:
        return ""
    if len(plain) > EMAIL_MOST or not EMAIL.fullmatch(plain) or ".." in plain:
        return None
    local, _, domain = plain.rpartition("@")
    return None if local.startswith(".") or local.endswith(".") else f"{local}@{domain.lower()}"


def _name_fault(name: str) -> str:
    if not name.strip():
        return "is needed"
    if len(name) > NAME_MOST or any(unicodedata.category(letter) == "Cc" for letter in name):
        return f"must be at most {NAME_MOST} characters without control characters"
    return ""


def _phone_words(phone: str) -> str:
    words = "must be a mobile number of 11 digits, or + with the country's code"
    return f"{words} (given: {phone!r})"


def _language_fault(language: str) -> str:
    if language in LANGUAGES:
        return ""
    return f"must be one of {', '.join(LANGUAGES)} (given: {language!r})"
