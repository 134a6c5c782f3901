"""Databento's HTTP API against a fake of it on this machine: prices, questions, months, patience, and the key."""

import base64
import threading
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import pytest

from store import databento_api, databento_http, open_archive
from store.databento_api import ApiError, fetch
from tests import dbn_files
from tests.dbn_files import bar, definition, header, ns, statistic, zstd

pytestmark = pytest.mark.service
KEY = "db-InventedInventedInvented1234"
FIRST, LAST = date(2024, 2, 20), date(2024, 3, 8)


def records(schema, start):
    """What the fake has of a schema from a day on: two days of ESH4 in each month."""
    begin = date.fromisoformat(start)
    days = [datetime(begin.year, begin.month, day, tzinfo=UTC) for day in (27, 28)] if begin.month == 2 else [
        datetime(begin.year, begin.month, day, tzinfo=UTC) for day in (7, 8)
    ]  # fmt: skip
    end = (begin.replace(day=1) + timedelta(days=32)).replace(day=1)
    stamps = [ns(day.year, day.month, day.day) for day in days]
    price = 5000.0 + begin.month
    made = {
        "ohlcv-1d": [bar("ohlcv-1d", 7, at, price, price + 2, price - 2, price + 1) for at in stamps],
        "statistics": [
            statistic(7, dbn_files.dbn.StatType.SETTLEMENT_PRICE, price + 0.5, day.date(), at + 80_000 * 10**9, flags=3)
            for at, day in zip(stamps, days, strict=True)
        ],
        "definition": [definition(7, "ESH4", "ES", 2024, 3, ns(2024, 3, 15, 13, 30), at=at) for at in stamps],
    }
    return zstd(header(schema, {"ESH4": 7}, begin, end, asked="parent") + b"".join(made[schema]))


class Fake(BaseHTTPRequestHandler):
    """Answers as the service does; `server.answers` is a list of callables that take the next requests instead."""

    def do_POST(self):
        wanted = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.server.seen.append((self.path.removeprefix("/v0/"), wanted, dict(self.headers)))
        if self.server.answers and (answer := self.server.answers.pop(0)):
            answer(self)
        elif self.path.endswith("get_cost"):
            self.reply(200, b"0.25")
        else:
            self.reply(200, records(wanted["schema"], wanted["start"]))

    do_GET = do_POST

    def reply(self, code, body=b"", length=None, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    server.seen, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


@pytest.fixture
def asked():
    return []


@pytest.fixture
def call(service, archive, asked):
    """fetch of ES from the fake; says yes and never really waits."""
    waited = []

    def fetched(symbol="ES", first=FIRST, last=LAST, yes=True, **options):
        ask = lambda cost: asked.append(cost) or yes  # noqa: E731
        options = {"key": KEY, "base": f"http://127.0.0.1:{service.server_port}/v0", "pause": waited.append} | options
        return fetch(archive, symbol, first, last, ask=ask, **options)

    fetched.waited = waited
    return fetched


def downloads(service):
    return [
        (wanted["schema"], wanted["start"], wanted["end"]) for path, wanted, _ in service.seen if "get_range" in path
    ]


def test_a_market_is_priced_downloaded_by_month_and_imported(call, service, archive, asked):
    done = call()
    assert asked == [0.75] and done.cost == 0.75 and not done.declined  # a price for each schema
    prices = [wanted for path, wanted, _ in service.seen if path == "metadata.get_cost"]
    assert prices[0] == {"dataset": "GLBX.MDP3", "symbols": "ES.FUT", "stype_in": "parent",
                         "stype_out": "instrument_id", "schema": "definition", "start": "2024-02-20",
                         "end": "2024-03-09"}  # fmt: skip
    assert downloads(service) == [
        (schema, *span) for schema in ("definition", "ohlcv-1d", "statistics")
        for span in (("2024-02-20", "2024-03-01"), ("2024-03-01", "2024-03-09"))
    ]  # fmt: skip
    assert not [report.error for report in done.reports if report.error]
    rows = archive.read("contract_bars").sort("time").select("source", "root", "contract", "day", "close", "settle")
    assert rows.rows() == [
        ("databento", "ES", 202403, date(2024, 2, 27), 5003.0, 5002.5),
        ("databento", "ES", 202403, date(2024, 2, 28), 5003.0, 5002.5),
        ("databento", "ES", 202403, date(2024, 3, 7), 5004.0, 5003.5),
        ("databento", "ES", 202403, date(2024, 3, 8), 5004.0, 5003.5),
    ]
    assert archive.read("contracts").select("contract", "last_trade").rows() == [(202403, date(2024, 3, 15))]


def test_what_is_there_is_neither_priced_nor_downloaded_again(call, service, asked):
    call()
    service.seen.clear()
    done = call()
    assert (service.seen, len(asked), done.downloaded) == ([], 1, [])
    assert all(report.skipped for report in done.reports)


def test_a_later_day_asks_for_its_month_only(call, service):
    call()
    service.seen.clear()
    call(last=date(2024, 3, 12))
    assert {span[1:] for span in downloads(service)} == {("2024-03-01", "2024-03-13")}


def test_no_is_no_download(call, service, archive):
    done = call(yes=False)
    assert done.declined and done.cost == 0.75 and downloads(service) == []
    assert not (archive.path / "downloads").exists()


def test_a_download_that_broke_off_goes_on_where_it_stopped(call, service, archive):
    service.answers = [None, None, None, None, None, lambda fake: fake.reply(500, b"{}")]
    with pytest.raises(ApiError, match="500"):
        call()
    held = {path.name for path in (archive.path / "downloads").rglob("*.*") if path.is_file()}
    assert held == {
        "ES.FUT.definition.20240220-20240229.dbn.zst", "ES.FUT.definition.20240301-20240308.dbn.zst",
    }  # fmt: skip
    service.seen.clear()
    call()
    assert len(downloads(service)) == 4


def test_an_answer_that_is_cut_short_is_asked_for_again_and_never_kept(call, service, archive):
    def cut(fake):
        whole = records("definition", "2024-02-20")
        fake.reply(200, whole[:-30], length=len(whole))
        fake.close_connection = True

    service.answers = [None, None, None, cut]
    call()
    assert len(downloads(service)) == 7 and call.waited == [2.0]
    service.answers = [None] * 3 + [cut] * databento_http.TRIES
    with pytest.raises(ApiError, match=r"127\.0\.0\.1 cannot be reached: the answer was cut short"):
        call(first=date(2023, 2, 20), last=date(2023, 3, 8))
    assert not [path for path in (archive.path / "downloads").rglob("*") if "2023" in path.name]


def test_an_answer_that_is_no_dbn_is_refused_and_not_kept(call, service, archive):
    service.answers = [None, None, None, lambda fake: fake.reply(200, b"<html>maintenance</html>")]
    with pytest.raises(ApiError, match=r"what came for ES\.FUT\.definition\.20240220-20240229\S+ is no good file"):
        call()
    assert not [path for path in (archive.path / "downloads").rglob("*") if path.is_file()]


def test_a_month_without_a_record_is_not_asked_for_again(call, service):
    empty = zstd(header("ohlcv-1d", {"ESH4": 7}))
    service.answers = [None, lambda fake: fake.reply(200, empty)]
    days = {"first": date(2024, 2, 20), "last": date(2024, 2, 25), "schemas": ("ohlcv-1d",)}
    assert call(**days).reports == []
    service.seen.clear()
    assert call(**days).reports == [] and service.seen == []


def test_busy_is_waited_for_as_told(call, service):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    service.answers = [
        lambda fake: fake.reply(429, b"{}", Retry_After="7"), lambda fake: fake.reply(503, b"{}", Retry_After=later),
        lambda fake: fake.reply(429, b"{}"),
    ]  # fmt: skip
    call()
    assert call.waited[0] == 7.0 and 80 < call.waited[1] <= 90 and call.waited[2] == 8.0


def test_a_wait_that_is_too_long_or_never_ends_is_an_error(call, service):
    service.answers = [lambda fake: fake.reply(429, b"{}", Retry_After="4000")]
    with pytest.raises(ApiError, match="asks to wait 4000 s"):
        call()
    service.answers = [lambda fake: fake.reply(429, b'{"detail": "slow down"}', Retry_After="1")] * 9
    with pytest.raises(ApiError, match="databento: 429 slow down"):
        call()
    assert call.waited == [1.0] * 4


@pytest.mark.parametrize(
    ("code", "body", "told"),
    [
        (401, f'{{"detail": "no such key {KEY}"}}', r"401 no such key \*\*\*; is the key in DATABENTO_API_KEY right\?"),
        (422, '{"detail": {"case": "data_start_before_available", "message": "Data starts in 2010."}}',
         "422 Data starts in 2010."),
        (402, "", "402 Payment Required"),
        (301, "", "301"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence_without_the_key(code, body, told, call, service):
    service.answers = [lambda fake: fake.reply(code, body.encode(), Location="/v0/elsewhere")]
    with pytest.raises(ApiError, match=f"^databento: {told}") as error:
        call()
    assert KEY not in str(error.value) and len(service.seen) == 1


def test_an_answer_without_a_cost_is_refused(call, service):
    for body in (b"free!", b"-1", b"NaN", b"null"):
        service.answers = [lambda fake, body=body: fake.reply(200, body)]
        with pytest.raises(ApiError, match="cost"):
            call()
    assert downloads(service) == []


def test_the_key_goes_into_the_header_and_nowhere_else(call, service, archive):
    call()
    token = base64.b64encode(f"{KEY}:".encode()).decode()
    assert {headers["Authorization"] for _, _, headers in service.seen} == {f"Basic {token}"}
    assert not any(KEY in f"{path}{wanted}" for path, wanted, _ in service.seen)
    for path in archive.path.rglob("*"):
        assert not path.is_file() or (KEY.encode() not in path.read_bytes() and token.encode() not in path.read_bytes())


def test_the_key_comes_from_the_environment(call, service, monkeypatch):
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    call(key=None)
    monkeypatch.delenv("DATABENTO_API_KEY")
    with pytest.raises(ApiError, match="no API key: set the environment variable DATABENTO_API_KEY"):
        call(key=None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"base": "http://example.org/v0"}, "is not https"),
        ({"symbol": "NOSUCH"}, "no market 'NOSUCH' in the contract master"),
        ({"symbol": "FDAX"}, "no dataset for FDAX of Eurex"),
        ({"symbol": "../ES"}, "'../ES' is no symbol"),
        ({"first": date(2024, 3, 9), "last": date(2024, 3, 8)}, "from 2024-03-09 to 2024-03-08 there is no day"),
        ({"key": "two words"}, "has a blank"),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(options, told, call, service):
    with pytest.raises(ApiError, match=told):
        call(**options)
    assert service.seen == []


@pytest.mark.parametrize(
    ("symbol", "sent", "kind"),
    [("ESH4", "ESH4", "raw_symbol"), ("ES.FUT", "ES.FUT", "parent"), ("6E", "6E.FUT", "parent"),
     ("SR3", "SR3.FUT", "parent"), ("6EM24", "6EM24", "raw_symbol")],
)  # fmt: skip
def test_a_symbol_is_a_market_or_one_contract(symbol, sent, kind, call, service):
    call(symbol, yes=False)
    assert (service.seen[0][1]["symbols"], service.seen[0][1]["stype_in"]) == (sent, kind)


def test_without_a_last_day_it_is_yesterday(call, service, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2024, 3, 9, 12, tzinfo=tz)

    monkeypatch.setattr(databento_api, "datetime", Clock)
    call(last=None, yes=False)
    assert service.seen[0][1]["end"] == "2024-03-09"
