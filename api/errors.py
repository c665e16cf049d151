"""Errors as HTTP answers: one map of error class to status, told as application/problem+json."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.identity.refusals import SignInRefused
from billing.prepaid_model import PurchaseMoved
from billing.token_model import TokenRefused
from domain.books import EntryRefused
from domain.errors import (
    CommandRefused,
    Forbidden,
    InvalidInput,
    LinkDown,
    RateLimited,
    StoreUnavailable,
    StreamFull,
    UnknownSubject,
    WattwardenError,
)
from domain.users import AlreadyThere

log = structlog.get_logger("api")

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5


class Busy(WattwardenError):
    """As many commands as allowed are on their way already; ask again a little later."""


STATUS: Mapping[type[WattwardenError], tuple[HTTPStatus, str]] = {
    UnknownSubject: (HTTPStatus.NOT_FOUND, "Not known"),
    InvalidInput: (HTTPStatus.UNPROCESSABLE_ENTITY, "Input has faults"),
    CommandRefused: (HTTPStatus.CONFLICT, "Command refused"),
    EntryRefused: (HTTPStatus.CONFLICT, "The books refuse this"),
    AlreadyThere: (HTTPStatus.CONFLICT, "There already"),
    TokenRefused: (HTTPStatus.CONFLICT, "Token refused"),
    PurchaseMoved: (HTTPStatus.CONFLICT, "Changed meanwhile"),
    Forbidden: (HTTPStatus.FORBIDDEN, "Not allowed"),
    SignInRefused: (HTTPStatus.UNAUTHORIZED, "Sign-in refused"),
    RateLimited: (HTTPStatus.TOO_MANY_REQUESTS, "Tried too often"),
    StoreUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "A store is not available"),
    StreamFull: (HTTPStatus.SERVICE_UNAVAILABLE, "The spool is full"),
    LinkDown: (HTTPStatus.SERVICE_UNAVAILABLE, "A line is down"),
    Busy: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many commands at once"),
    WattwardenError: (HTTPStatus.SERVICE_UNAVAILABLE, "Not possible now"),
}


def problem(
    status: int,
    title: str,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build an answer of RFC 9457: what is wrong, in words, and every single fault."""
    content: dict[str, Any] = {
        "type": "about:blank", "title": title, "status": int(status), "detail": detail,
    }  # fmt: skip
    if errors:
        content["errors"] = [dict(error) for error in errors]
    return JSONResponse(
        content, status_code=status, headers=dict(headers or {}), media_type=PROBLEM_JSON
    )


def status_of(error: WattwardenError) -> tuple[HTTPStatus, str]:
    """Return status and title of an error, by the nearest class in the map."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def add_error_handlers(app: FastAPI) -> None:
    """Have every error answered as a problem."""
    app.add_exception_handler(WattwardenError, _on_purpose)
    app.add_exception_handler(TimeoutError, _late)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def _on_purpose(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WattwardenError)  # noqa: S101 - registered for this class alone
    status, title = status_of(error)
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(ceil(error.retry_after_s))
    faults = error.faults if isinstance(error, InvalidInput) else ()
    errors = [
        {"where": fault.source, "message": fault.message, "subject": fault.subject}
        for fault in faults
    ]
    detail = "; ".join(str(fault) for fault in faults) or str(error) or title
    return problem(status, title, detail, errors, headers)


async def _late(_: Request, error: Exception) -> JSONResponse:
    words = str(error) or "the station did not answer in time; ask again"
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE, STATUS[WattwardenError][1], words, headers=headers
    )


async def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    errors = [{"where": _where(item), "message": _words(item)} for item in error.errors()]
    detail = "; ".join(f"{item['where']}: {item['message']}" for item in errors)
    title = STATUS[InvalidInput][1]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, title, detail, errors)


def _where(item: Mapping[str, Any]) -> str:
    # Of a body that is not JSON the place is a count of bytes, which is no name.
    place = item["loc"][:1] if item["type"] == "json_invalid" else item["loc"]
    return ".".join(str(part) for part in place)


def _words(item: Mapping[str, Any]) -> str:
    kind = item["type"]
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return "is not known here"
    if kind == "json_invalid":
        return f"the body is not valid JSON: {item.get('ctx', {}).get('error', '')}"
    if kind == "model_attributes_type":
        return "a JSON object is needed, with Content-Type: application/json"
    return str(item["msg"]).removeprefix("Value error, ")


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    title = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, title, str(error.detail), headers=error.headers)


async def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", method=request.method, path=request.url.path, error=repr(error))
    words = "an error of the service itself; it is in the log"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error", words)
