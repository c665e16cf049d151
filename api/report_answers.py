"""Reports as JSON: what is asked for and what is answered."""

from datetime import date, datetime, time
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from billing.reports.model import Cell, Report
from billing.reports.printed import Printed
from billing.reports.schedule import Every, ReportRun, ReportSchedule, RunState
from billing.reports.schedules import ScheduleWish
from billing.reports.service import ReportFormat
from domain.catalogue.language import Language

AskedFormat = Literal["json", "csv", "xlsx", "pdf"]
Day = Annotated[date, Field(description="a local day of the site, 2026-11-01")]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class PeriodQuery(BaseModel):
    """The days a report is about: `from` and `to` (the first day left out), `day`, or `month`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    first: Day | None = Field(None, alias="from")
    end: Day | None = Field(None, alias="to", description="the first day left out")
    day: Day | None = None
    month: Annotated[str | None, Field(max_length=7, description="such as 2026-11")] = None
    format: AskedFormat = "json"
    lang: Language = "zh-CN"


class ReportNameAnswer(_Answer):
    """A report that can be asked for."""

    name: str
    title: str


class ReportList(_Answer):
    """The reports of this station."""

    count: int
    reports: list[ReportNameAnswer]


class ColumnAnswer(_Answer):
    """A column: its kind says what its cells hold."""

    key: str
    kind: str
    title: str


class ReportAnswer(_Answer):
    """A report with exact cells: money in micro-units, energy in Wh, times in UTC, null for what
    is missing. `to` is the first day left out."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str
    title: str
    first: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    time_zone: str
    made_at: datetime
    complete: bool
    columns: list[ColumnAnswer]
    rows: list[list[Cell]]
    totals: dict[str, int]
    notes: list[str]
    count: int

    @classmethod
    def of(cls, report: Report, page: Printed) -> Self:
        """Tell a report; `page` has its words."""
        heads = {column.key: head for column, head in zip(page.columns, page.heads, strict=True)}
        return cls(
            name=report.name,
            title=page.title,
            first=report.period.first,
            end=report.period.end,
            time_zone=str(report.period.zone),
            made_at=report.made_at,
            complete=report.complete,
            columns=[
                ColumnAnswer(key=one.key, kind=one.kind.value, title=heads[one.key])
                for one in report.columns
            ],
            rows=[list(row) for row in report.rows],
            totals=dict(report.totals),
            notes=list(page.notes),
            count=len(report.rows),
        )


class ScheduleBody(BaseModel):
    """A report to be sent by e-mail: `at` is local time; `on` the weekday (1 Monday to 7) of one a
    week, the day (1-28) of one a month."""

    model_config = ConfigDict(extra="forbid")

    report: Annotated[str, Field(max_length=64)]
    every: Every
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="such as 07:30")]
    on: Annotated[int, Field(ge=1, le=28)] | None = None
    recipients: Annotated[list[Annotated[str, Field(max_length=254)]], Field(max_length=100)]
    format: ReportFormat = ReportFormat.XLSX
    lang: Language = "zh-CN"
    active: bool = True

    def wish(self) -> ScheduleWish:
        """Return it as the service takes it."""
        return ScheduleWish(
            report=self.report,
            every=self.every,
            at=time.fromisoformat(self.at),
            on=self.on,
            recipients=tuple(self.recipients),
            format=self.format,
            language=self.lang,
            active=self.active,
        )


class ScheduleAnswer(_Answer):
    """A schedule as it is kept."""

    id: str
    report: str
    every: Every
    at: str
    on: int | None
    recipients: list[str]
    format: ReportFormat
    lang: Language
    active: bool
    since: datetime
    saved_by: str

    @classmethod
    def of(cls, schedule: ReportSchedule) -> Self:
        """Tell a schedule."""
        return cls(
            id=schedule.id,
            report=schedule.report,
            every=schedule.every,
            at=f"{schedule.at:%H:%M}",
            on=schedule.on,
            recipients=list(schedule.recipients),
            format=schedule.format,
            lang=schedule.language,
            active=schedule.active,
            since=schedule.since,
            saved_by=schedule.saved_by,
        )


class ScheduleList(_Answer):
    """All schedules."""

    count: int
    schedules: list[ScheduleAnswer]


class RunAnswer(_Answer):
    """One due time of a schedule: the days it was about, how it stands, who is still to get it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schedule: str
    due_at: datetime
    first: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    state: RunState
    recipients: list[str]
    tries: int
    next_try_at: datetime | None
    finished_at: datetime | None
    note: str

    @classmethod
    def of(cls, run: ReportRun) -> Self:
        """Tell a run."""
        return cls(
            schedule=run.schedule,
            due_at=run.due_at,
            first=run.first,
            end=run.end,
            state=run.state,
            recipients=list(run.recipients),
            tries=run.tries,
            next_try_at=run.next_try_at,
            finished_at=run.finished_at,
            note=run.note,
        )


class RunList(_Answer):
    """Runs, newest first."""

    count: int
    runs: list[RunAnswer]
