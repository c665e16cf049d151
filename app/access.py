"""The access token of the API: set by the user, or made once and kept in the data folder."""

import os
import secrets
from pathlib import Path

from app.settings import Settings
from domain.errors import WattwardenError

FILE = "access-token"
TOKEN_BYTES = 32


def access_token(settings: Settings) -> str:
    """Return the token in force; on the first start without one it is made and kept.

    The file is readable by its owner only.
    """
    given = settings.access_token.get_secret_value()
    if given:
        return given
    kept = kept_token(settings.data_dir)
    if kept:
        return kept
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    handle = os.open(settings.data_dir / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token


def kept_token(folder: Path) -> str:
    """Return the token kept in a data folder, or an empty text without one."""
    path = folder / FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise WattwardenError(f"{path} can't be read: {error}") from error
