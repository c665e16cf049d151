"""For finance: tariffs, their versions, and what they would bring."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.access import needs
from api.charging_answers import (
    BillAnswer,
    PreviewAnswer,
    PreviewBody,
    SavedVersionAnswer,
    TariffAnswer,
    TariffList,
    VersionBody,
    VersionList,
    money,
)
from api.context import Deps
from api.deps import ApiDeps
from billing.charger import Charger
from billing.tariff import Tariff
from domain.errors import UnknownSubject
from domain.identity import Principal, Role

router = APIRouter(tags=["tariffs"])

TariffName = Annotated[
    str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$", description="its name")
]
Reader = Annotated[
    Principal, Depends(needs(Role.FINANCE, Role.OPERATOR, Role.FACILITIES, Role.ANALYST))
]
Designer = Annotated[Principal, Depends(needs(Role.FINANCE))]


@router.get("/tariffs", summary="Tariffs and their versions")
def list_tariffs(deps: Deps, _: Reader) -> TariffList:
    """Give every tariff with the versions that stand."""
    found = charger_of(deps).shelf.tariffs()
    told = [TariffAnswer.of(name, tariff) for name, tariff in found.items()]
    return TariffList(count=len(told), tariffs=told)


@router.get("/tariffs/{name}/versions", summary="All versions of a tariff ever saved")
def list_versions(name: TariffName, deps: Deps, _: Reader) -> VersionList:
    """Give every version with who saved it, when and why, withdrawn ones too."""
    found = charger_of(deps).shelf.history(name)
    told = [SavedVersionAnswer.of(saved) for saved in found]
    return VersionList(name=name, count=len(told), versions=told)


@router.post("/tariffs/{name}/versions", summary="Save a version that is to come")
def save_version(name: TariffName, body: VersionBody, deps: Deps, who: Designer) -> TariffAnswer:
    """Save a version; it must begin after today, and replaces one of the same date."""
    shelf = charger_of(deps).shelf
    known = shelf.tariffs().get(name)
    title = body.title if body.title is not None else (known.title if known else "")
    kind = body.kind or (known.kind if known else None)
    tariff = Tariff(title=title, kind=kind, versions=(body.version,))
    shelf.save(name, tariff, body.version, who.user, body.reason)
    return TariffAnswer.of(name, shelf.tariff(name))


@router.post("/tariffs/preview", summary="What a tariff under design would cost")
def preview(body: PreviewBody, deps: Deps, _: Designer) -> PreviewAnswer:
    """Price a month of an account, or given energy, by a tariff that nobody has; books nothing."""
    charger = charger_of(deps)
    if body.account_id is not None and body.month is not None:
        bills = [charger.preview(body.tariff, body.account_id, body.month)]
    else:
        usage = [(one.start, one.end, one.energy_wh) for one in body.usage]
        bills = charger.preview_usage(body.tariff, usage, body.people)
    total = sum(bill.total_micro for bill in bills)
    currency = deps.site().currency
    return PreviewAnswer(
        count=len(bills),
        total_micro=total,
        total=money(total),
        bills=[BillAnswer.of(bill, currency) for bill in bills],
    )


def charger_of(deps: ApiDeps) -> Charger:
    """Return the station's charger. Raises UnknownSubject where it has none."""
    charger = deps.money().charger
    if charger is None:
        raise UnknownSubject("this station charges nothing")
    return charger
