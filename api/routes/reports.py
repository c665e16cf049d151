"""For finance: reports in four formats, and those that go out by e-mail."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import Response as PlainResponse

from api.access import needs
from api.context import Deps
from api.deps import ApiDeps
from api.report_answers import (
    PeriodQuery,
    ReportAnswer,
    ReportList,
    ReportNameAnswer,
    RunAnswer,
    RunList,
    ScheduleAnswer,
    ScheduleBody,
    ScheduleList,
)
from billing.reports.period import period_of
from billing.reports.schedules import ReportSchedules
from billing.reports.service import MEDIA, ReportFormat, Reports
from domain.catalogue.language import Language
from domain.errors import UnknownSubject
from domain.identity import Principal, Role
from domain.texts import text

router = APIRouter(tags=["reports"])

Finance = Annotated[Principal, Depends(needs(Role.FINANCE))]
ReportName = Annotated[
    str, Path(max_length=64, pattern=r"^[a-z-]+$", description="a name of the list")
]
ScheduleId = Annotated[
    str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$", description="the schedule's id")
]
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report; its Content-Type is that of the format asked for",
        "content": {media.partition(";")[0]: {} for media in MEDIA.values()},
    }
}


@router.get("/reports", summary="The reports that can be asked for")
def list_reports(deps: Deps, _: Finance, lang: Language = "zh-CN") -> ReportList:
    """Give the names of the reports, with their titles."""
    names = reports_of(deps).names()
    told = [ReportNameAnswer(name=name, title=text(f"report.title.{name}", lang)) for name in names]
    return ReportList(count=len(told), reports=told)


@router.get(
    "/reports/{name}", summary="One report of some days", responses=_FILES,
    response_model=ReportAnswer,
)  # fmt: skip
def get_report(
    name: ReportName, query: Annotated[PeriodQuery, Query()], deps: Deps, _: Finance
) -> Response | ReportAnswer:
    """Make a report; as JSON its cells are exact, as a file they are made for people."""
    reports = reports_of(deps)
    period = period_of(
        reports.zone, first=query.first, end=query.end, day=query.day, month=query.month
    )
    if query.format == "json":
        found = reports.report(name, period)
        return ReportAnswer.of(found, reports.in_words(found, query.lang))
    made = reports.render(name, period, ReportFormat(query.format), query.lang)
    return PlainResponse(
        made.content,
        media_type=made.media_type,
        headers={"Content-Disposition": f'attachment; filename="{made.file_name}"'},
    )


@router.get("/report-schedules", summary="Reports that go out by e-mail")
def list_schedules(deps: Deps, _: Finance) -> ScheduleList:
    """Give every schedule."""
    told = [ScheduleAnswer.of(one) for one in schedules_of(deps).schedules()]
    return ScheduleList(count=len(told), schedules=told)


@router.put("/report-schedules/{schedule_id}", summary="Save a schedule, new or changed")
def save_schedule(
    schedule_id: ScheduleId, body: ScheduleBody, deps: Deps, who: Finance
) -> ScheduleAnswer:
    """Save a schedule; it counts from now on, and what was due before is not made up for."""
    return ScheduleAnswer.of(schedules_of(deps).save(schedule_id, body.wish(), who.user))


@router.get("/report-schedules/{schedule_id}", summary="One schedule")
def get_schedule(schedule_id: ScheduleId, deps: Deps, _: Finance) -> ScheduleAnswer:
    """Give a schedule."""
    return ScheduleAnswer.of(schedules_of(deps).schedule(schedule_id))


@router.delete("/report-schedules/{schedule_id}", summary="Delete a schedule", status_code=204)
def delete_schedule(schedule_id: ScheduleId, deps: Deps, _: Finance) -> None:
    """Delete a schedule; what waits to be sent is dropped, what was sent stays listed."""
    schedules_of(deps).delete(schedule_id)


@router.get("/report-schedules/{schedule_id}/runs", summary="What became of a schedule's runs")
def list_runs(
    schedule_id: ScheduleId,
    deps: Deps,
    _: Finance,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RunList:
    """Give the runs of a schedule, newest first; those of a deleted one too."""
    told = [RunAnswer.of(run) for run in schedules_of(deps).runs(schedule_id, limit)]
    if not told:
        schedules_of(deps).schedule(schedule_id)
    return RunList(count=len(told), runs=told)


def reports_of(deps: ApiDeps) -> Reports:
    """Return the station's reports. Raises UnknownSubject where it makes none."""
    reports = deps.money().reports
    if reports is None:
        raise UnknownSubject("this station makes no reports")
    return reports


def schedules_of(deps: ApiDeps) -> ReportSchedules:
    """Return the station's scheduled reports. Raises UnknownSubject where it sends none."""
    schedules = deps.money().report_schedules
    if schedules is None:
        raise UnknownSubject(
            "this station sends no reports: there is no mail server in its site file"
        )
    return schedules
