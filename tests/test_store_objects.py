"""Objects of an S3 service: a lost answer loses nothing and tells nothing wrong, and no secret is told."""

from datetime import timedelta

import pytest

from store import objects, retention
from store.archive import NotWritten, StateUnknown, StoreError, open_archive
from store.bucket import Bucket
from tests.buckets import always, another_machine, once, stored

pytest_plugins = ("tests.s3_server",)
pytestmark = [pytest.mark.service, pytest.mark.usefixtures("quick")]


@pytest.fixture
def archive(cloud):
    return open_archive(cloud, create=True)


# ---- answers that are lost


@pytest.mark.parametrize(
    "told", ["drop", "lose", (500, "InternalError", ""), (503, "SlowDown", ""), (409, "Conflict", "")]
)
def test_a_commit_whose_answer_is_lost_is_found_to_be_done_and_done_once(archive, cloud, between, told):
    stored(archive)
    through = open_archive(cloud)
    stored(through, "before")
    between.rule = once("PUT", "snapshots/0000000003", told)
    done = stored(through, "mine")
    assert done.number == 3 == archive.head().number and done == archive.head()
    assert sorted(archive.read("fx")["source"].unique()) == ["before", "ecb", "mine"]
    assert [path for method, path in between.seen if method == "PUT" and "0000000003" in path][1:]


def test_who_was_second_is_told_even_if_his_own_answer_was_lost(archive, cloud, between):
    """The first try is lost before it arrives, another writer takes the name, and the next try finds it taken."""
    through = open_archive(cloud)
    through.place._prove()

    def rule(request, number):
        if request.command == "PUT" and "snapshots/x" in request.path and not archive.place.has("snapshots/x"):
            archive.place.write_once("snapshots/x", b"theirs")
            return "lose"

    between.rule = rule
    with pytest.raises(FileExistsError):
        through.place.write_once("snapshots/x", b"mine")
    archive.place.remove("snapshots/x")

    def twin(request, number):
        if request.command == "PUT" and "snapshots/y" in request.path and not archive.place.has("snapshots/y"):
            archive.place.write_once("snapshots/y", b"same")
            return "lose"

    between.rule = twin
    with pytest.raises(FileExistsError):  # the same bytes, but put by another
        through.place.write_once("snapshots/y", b"same")


def test_where_no_answer_comes_the_state_is_unknown_or_nothing_was_written(archive, cloud, between, monkeypatch):
    monkeypatch.setattr(retention, "FLOOR", timedelta(seconds=-10))
    through = open_archive(cloud)
    stored(through)
    between.rule = always("PUT", "snapshots/0000000002", "drop")
    with pytest.raises(StateUnknown, match="look at the store before repeating"):
        stored(through, "unknown")
    assert archive.head().number == 2  # it was done, and nobody could know
    between.rule = always("PUT", "data/", "drop")
    with pytest.raises(NotWritten, match="nothing was changed"):
        stored(through, "none")
    assert archive.head().number == 2
    between.rule = lambda request, number: None
    assert archive.gc(timedelta(seconds=-10), dry_run=False)[0].startswith("data/fx/")  # what was put all the same
    assert archive.verify() == []


def test_a_lost_answer_to_a_changed_file_beside_the_store_is_found_to_be_done(cloud, between):
    place = Bucket(cloud)
    place.begin()
    place.bring_own()
    place.put_beside("vendors.toml", b"a = 1\n")
    between.rule = once("PUT", "vendors.toml", "drop")
    place.put_beside("vendors.toml", b"a = 2\n")
    assert place.read("vendors.toml") == b"a = 2\n"


def test_a_read_that_breaks_off_is_repeated_or_told(archive, cloud, between, monkeypatch, tmp_path):
    stored(archive)
    another_machine(monkeypatch, tmp_path / "other")
    between.rule = once("GET", "data/", "drop")
    assert open_archive(cloud).read("fx").height == 3
    another_machine(monkeypatch, tmp_path / "third")
    between.rule = always("GET", "data/", "cut")
    with pytest.raises(StoreError, match=f"{cloud}: could not read data/fx/"):
        open_archive(cloud).read("fx")
    assert not [path for path in (tmp_path / "third" / "objects").iterdir()]


# ---- services that cannot be used


def test_a_service_that_knows_no_conditional_put_is_refused(archive, cloud, between):
    between.rule = lambda request, number: "force"
    with pytest.raises(StoreError, match="honours If-None-Match"):
        open_archive(f"{cloud}/other", create=True)
    through, before = open_archive(cloud), archive.head()
    with pytest.raises(StoreError, match="honours If-None-Match"):
        stored(through)
    assert archive.head() == before
    between.rule = always("PUT", "", (501, "NotImplemented", "A header you provided implies functionality"))
    with pytest.raises(NotWritten, match="conditional puts"):
        open_archive(f"{cloud}/third", create=True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, "AccessDenied", "{key}"), "access was denied"),
        ((403, "InvalidAccessKeyId", "<AWSAccessKeyId>{key}</AWSAccessKeyId>"), "access key is not known"),
        ((403, "SignatureDoesNotMatch", "<StringToSign>{secret}</StringToSign>"), "secret key does not belong"),
        ((400, "ExpiredToken", "{secret}"), "have expired"),
        ((403, "RequestTimeTooSkewed", ""), "clock is wrong"),
        ((301, "PermanentRedirect", ""), "another region: set AWS_REGION"),
        ((400, "AuthorizationHeaderMalformed", "expecting 'eu-west-1'"), "another region, eu-west-1: set AWS_REGION"),
        ((404, "NoSuchBucket", ""), "no such bucket"),
        ((503, "SlowDown", ""), "busy or broken"),
        ("drop", "did not answer"),
    ],
)
def test_every_refusal_is_one_sentence_with_the_address_and_no_secret(cloud, between, secrets, answer, said):
    told = answer if answer == "drop" else (answer[0], answer[1], answer[2].format(key=secrets[0], secret=secrets[1]))
    place = Bucket(cloud)
    between.rule = lambda request, number: told
    calls = {
        "list": lambda: open_archive(cloud),
        "read": lambda: place.read("snapshots/head"),
        "write": lambda: place.write_once("snapshots/1", b""),
        "hint": lambda: place.hint("x", b""),
    }
    for what, call in calls.items():
        with pytest.raises(StoreError, match=f"{cloud}: .*{said}") as caught:
            call()
        assert isinstance(caught.value, NotWritten | StateUnknown) == (what in ("write", "hint"))
        shown = "".join((str(caught.value), repr(caught.value), str(caught.getrepr(chain=True, showlocals=False))))
        assert "\n" not in str(caught.value)
        assert not any(secret in shown for secret in secrets)


def test_no_network_no_keys_and_an_open_line_are_told(cloud, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:9 cannot be reached"):
            open_archive(cloud)
        patch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1")
        with pytest.raises(StoreError, match=r"plain http to 192\.0\.2\.1.*AWS_ALLOW_HTTP"):
            open_archive(cloud)
        patch.setenv("AWS_ENDPOINT_URL", "https://key:secret@host")
        with pytest.raises(StoreError, match="is no address of a service") as caught:
            open_archive(cloud)
        assert "secret" not in str(caught.value)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="AWS_SECRET_ACCESS_KEY one is not set"):
        open_archive(cloud)


def test_a_service_that_says_nothing_is_given_up(cloud, between, monkeypatch):
    place = Bucket(cloud)
    monkeypatch.setattr(objects, "SILENCE", 0.2)
    between.rule = lambda request, number: "hang"
    with pytest.raises(StateUnknown, match="did not answer"):
        place._objects.create("snapshots/1", b"")
    with pytest.raises(StoreError, match="did not answer"):
        place.read("snapshots/head")
