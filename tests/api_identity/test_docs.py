"""The page about access names every setting, role and window that there is."""

from pathlib import Path

import pytest

from api.identity import service
from api.identity.settings import CasSettings, OidcSettings, SignInSettings
from domain.identity import Role

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(SignInSettings.model_fields))
def test_every_setting_is_on_the_page_with_its_default(name):
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line]
    default = SignInSettings.model_fields[name].default
    told = "none" if default is None else str(default).lower()
    assert told in row


def test_every_key_of_the_providers_is_on_the_page():
    for model in (OidcSettings, CasSettings):
        for name in model.model_fields:
            assert name in PAGE, name


def test_every_role_is_on_the_page():
    assert all(f"| `{role}` |" in PAGE for role in Role)


def test_the_windows_on_the_page_are_those_of_the_code():
    told = [f"{w.amount} per {w.multiples} {w.GRANULARITY.name}" for w in service.BY_PAIR.windows]
    assert told == ["5 per 1 minute", "10 per 15 minute", "20 per 2 hour", "40 per 1 day"]
    told = [
        f"{w.amount} per {w.multiples} {w.GRANULARITY.name}" for w in service.BY_ADDRESS.windows
    ]
    assert told == ["30 per 1 minute", "100 per 10 minute", "300 per 1 hour"]


def test_the_example_of_the_page_passes_the_check():
    import tomllib

    text = PAGE.split("```toml\n")[1].split("```")[0]
    settings = SignInSettings.model_validate(tomllib.loads(text)["sign_in"])
    assert settings.oidc.person_claim == "student_number"
