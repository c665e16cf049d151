"""Reports and schedules over the API, from a real ledger."""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import openpyxl
import pytest
from made_month import SHANGHAI, at, book_accounts, campus, entry
from pypdf import PdfReader

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from api_station import Station

from api.app import create_app
from api.billing_deps import BillingDeps
from billing.reports.schedules import ReportSchedules
from billing.reports.service import Reports
from billing.reports.settings import ReportSettings
from domain.books import EntryKind
from domain.clock import LeapClock
from storage.books.report_source import SqlReportSource
from storage.books.reports import SqlReportSchedules
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

SCHEDULE = {
    "report": "balances", "every": "month", "on": 1, "at": "07:30", "recipients": ["a@example.edu"],
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.AsyncClient]:
    """A station whose books hold two recharges of November."""
    clock = LeapClock(at("11-05 10:00"))
    ledger = SqlLedger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}", clock=clock)
    books, directory = SqlBooks(ledger, clock=clock), campus()
    books.open(*book_accounts(directory)).result(30)
    for number, fen in enumerate((5_000, 2_050)):
        legs = {"room:b1-101": fen * 10_000, "clearing:wechat": -fen * 10_000}
        made = entry(f"recharge:{number}", EntryKind.RECHARGE, clock.now(), legs, order="O")
        books.post(made).result(30)
    clock.jump(at("12-10 12:00"))
    reports = Reports(
        SqlReportSource(ledger), directory, clock, SHANGHAI, site="示例大学",
        settings=ReportSettings(entries_most=1_000),
    )  # fmt: skip
    schedules = ReportSchedules(SqlReportSchedules(ledger), reports, clock)
    station = Station()
    station.change(
        billing=BillingDeps(books, directory, reports=reports, report_schedules=schedules),
        open_reads=True,
        open_writes=True,
    )
    transport = httpx.ASGITransport(create_app(station.deps))
    yield httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1")
    ledger.close()


async def test_the_list_names_what_can_be_made_here(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/reports?lang=en")).json()
    names = [report["name"] for report in answer["reports"]]
    assert answer["count"] == len(names)
    assert {"name": "recharges", "title": "Recharges by channel"} in answer["reports"]
    assert "shifts" not in names


async def test_json_is_exact(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/reports/recharges?month=2026-11&lang=en")).json()
    assert answer["rows"] == [["wechat", 2, 70_500_000, 0, 0, 0, 0, 70_500_000]]
    assert answer["totals"]["net"] == 70_500_000
    assert (answer["from"], answer["to"], answer["complete"]) == ("2026-11-01", "2026-12-01", True)
    assert answer["made_at"] == "2026-12-10T04:00:00Z"
    assert answer["columns"][2] == {"key": "recharged", "kind": "money", "title": "Recharged (CNY)"}


async def test_times_in_json_are_in_utc(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/reports/recharge-list?day=2026-11-05")).json()
    assert answer["rows"][0][1] == "2026-11-05T02:00:00Z"


async def test_files_come_with_their_type_and_name(client: httpx.AsyncClient) -> None:
    url = "/reports/recharges?from=2026-11-01&to=2026-11-08&format="
    book, page, text = [await client.get(url + kind) for kind in ("xlsx", "pdf", "csv")]
    assert book.headers["content-disposition"] == (
        'attachment; filename="recharges-2026-11-01-2026-11-07.xlsx"'
    )
    sheet = openpyxl.load_workbook(BytesIO(book.content)).active
    assert sheet["A1"].value == "充值汇总表（按渠道）"
    assert sheet["C6"].value == "=SUM(C5:C5)"
    assert page.headers["content-type"] == "application/pdf"
    assert len(PdfReader(BytesIO(page.content)).pages) == 1
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    assert text.text.splitlines()[1] == "微信支付,2,70.50,0,0.00,0.00,0.00,70.50"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/reports/profit?month=2026-11", 404, "no report 'profit'"),
        ("/reports/shifts?month=2026-11", 404, "this station takes no cash"),
        ("/reports/recharges", 422, "name one of: a day, a month, or both from and to"),
        ("/reports/recharges?month=2026-13", 422, "must be a month such as 2026-11"),
        ("/reports/recharges?from=2026-11-02&to=2026-11-01", 422, "must be after from"),
        ("/reports/recharges?month=2026-11&format=docx", 422, "query.format"),
        ("/reports/recharges?month=2026-11&bulding=B1", 422, "query.bulding"),
        ("/report-schedules/none", 404, "no schedule 'none'"),
        ("/report-schedules/none/runs", 404, "no schedule 'none'"),
    ],
)
async def test_what_can_t_be_asked_for_is_told(
    path: str, status: int, words: str, client: httpx.AsyncClient
) -> None:
    answer = await client.get(path)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


async def test_a_schedule_is_saved_changed_and_deleted(client: httpx.AsyncClient) -> None:
    saved = await client.put("/report-schedules/monthly", json=SCHEDULE)
    assert saved.status_code == 200
    assert saved.json() | SCHEDULE == saved.json()
    changed = await client.put("/report-schedules/monthly", json={**SCHEDULE, "active": False})
    assert changed.json()["active"] is False
    listed = (await client.get("/report-schedules")).json()
    assert [one["id"] for one in listed["schedules"]] == ["monthly"]
    assert (await client.get("/report-schedules/monthly/runs")).json() == {"count": 0, "runs": []}
    assert (await client.delete("/report-schedules/monthly")).status_code == 204
    assert (await client.delete("/report-schedules/monthly")).status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"report": "profit"}, "report: must be one of"),
        ({"on": None}, "on: must be 1 to 28 for one a month"),
        ({"at": "25:00"}, "body.at"),
        ({"recipients": ["nobody"]}, "recipients: is no e-mail address"),
        ({"colour": "red"}, "body.colour"),
    ],
)
async def test_a_schedule_with_faults_is_refused(
    change: dict[str, object], words: str, client: httpx.AsyncClient
) -> None:
    answer = await client.put("/report-schedules/x", json={**SCHEDULE, **change})
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
