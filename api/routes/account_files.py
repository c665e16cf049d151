"""For the office: rooms and people as files; a dry run first, then exactly that."""

from enum import StrEnum
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api.access import Who, needs
from api.account_answers import ImportAnswer
from api.context import Deps
from api.deps import ApiDeps
from api.params import CommandId
from api.routes.accounts import OFFICE, service_of
from billing.people_files.plan import FileKind
from domain.catalogue.language import Language
from domain.errors import InvalidInput
from domain.faults import Fault
from domain.identity import Role

router = APIRouter(tags=["files"])

CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BYTES = {"schema": {"type": "string", "format": "binary"}}
UPLOAD: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"text/csv": _BYTES, XLSX: _BYTES}}
}
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"text/csv": _BYTES, XLSX: _BYTES}}
}
OPERATORS = [Depends(needs(Role.OPERATOR))]
EXPORTERS = [Depends(needs(*OFFICE))]


class Form(StrEnum):
    """The form of an exported file."""

    CSV = "csv"
    XLSX = "xlsx"


FileName = Annotated[
    str,
    Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="names it in the faults"),
]
Digest = Annotated[
    str | None,
    Query(
        alias="apply", pattern=r"^[0-9a-f]{64}$",
        description="the digest of the dry run that is to be done; without it nothing is changed",
    ),
]  # fmt: skip
ApplyKey = Annotated[
    CommandId | None,
    Header(alias="Idempotency-Key", description="your own id; needed with apply"),
]
FormQuery = Annotated[Form, Query(alias="format")]
LanguageQuery = Annotated[Language, Query(description="of the column heads")]
History = Annotated[bool, Query(description="true: stays that are over too")]


@router.post("/accounts/import", summary="Open and change rooms by a file",
             dependencies=OPERATORS, openapi_extra=UPLOAD)  # fmt: skip
async def import_accounts(
    request: Request, who: Who, deps: Deps, file: FileName = "rooms",
    digest: Digest = None, key: ApplyKey = None,
) -> ImportAnswer:  # fmt: skip
    """Say what a file of rooms would do, or with `apply` do it; CSV or XLSX."""
    content = await request.body()
    return await _import(deps, FileKind.ROOMS, file, content, digest, key, who.user)


@router.get("/accounts/export", summary="Rooms as a file", dependencies=EXPORTERS,
            response_class=Response, responses=DOWNLOAD)  # fmt: skip
def export_accounts(
    deps: Deps, form: FormQuery = Form.CSV, language: LanguageQuery = "en"
) -> Response:
    """Give the open accounts as a file that can be imported again."""
    content = service_of(deps).export(FileKind.ROOMS, form.value, language=language)
    return _download(content, "rooms", form)


@router.post("/people/import", summary="Add, change and move people by a file",
             dependencies=OPERATORS, openapi_extra=UPLOAD)  # fmt: skip
async def import_people(
    request: Request, who: Who, deps: Deps, file: FileName = "people",
    digest: Digest = None, key: ApplyKey = None,
) -> ImportAnswer:  # fmt: skip
    """Say what a file of people would do, or with `apply` do it; CSV or XLSX."""
    content = await request.body()
    return await _import(deps, FileKind.PEOPLE, file, content, digest, key, who.user)


@router.get("/people/export", summary="People as a file", dependencies=OPERATORS,
            response_class=Response, responses=DOWNLOAD)  # fmt: skip
def export_people(
    deps: Deps, form: FormQuery = Form.CSV, language: LanguageQuery = "en",
    history: History = False,
) -> Response:  # fmt: skip
    """Give everybody, a row a stay, as a file that can be imported again."""
    content = service_of(deps).export(
        FileKind.PEOPLE, form.value, language=language, history=history
    )
    return _download(content, "people", form)


async def _import(
    deps: ApiDeps, kind: FileKind, file: str, content: bytes, digest: str | None,
    key: str | None, actor: str,
) -> ImportAnswer:  # fmt: skip
    if digest is not None and key is None:
        raise InvalidInput([Fault("header.Idempotency-Key", "is required with apply")])
    accounts = service_of(deps)

    def work() -> ImportAnswer:
        if digest is None or key is None:
            return ImportAnswer.of(accounts.plan_import(kind, file, content))
        done = accounts.apply_import(key, kind, file, content, digest, actor)
        return ImportAnswer.done(kind, file, done.result)

    return await anyio.to_thread.run_sync(work)


def _download(content: bytes, name: str, form: Form) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form.value}"'}
    media_type = XLSX if form is Form.XLSX else CSV
    return Response(content, media_type=media_type, headers=headers)
