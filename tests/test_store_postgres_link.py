"""Addresses: what is one, and that no password in one gets anywhere."""

import traceback

import pytest

from store.postgres_link import DatabaseError, checked, connected, shown

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@db.example/futures",
        f"postgres://me:{SECRET}@/futures",
        f"postgresql://me:{SECRET}%@db.example/futures",
        f"postgresql://me:a/{SECRET}@db.example/futures",
        f"postgresql://me:a@b{SECRET}@db.example/futures",
        f"postgresql://me@db.example/futures?password={SECRET}",
        f"postgresql://me@db.example/futures?sslmode=require&PASSWORD={SECRET}",
        f"postgresql://me@db.example/futures?pass%77ord={SECRET}",
        f"postgresql://me@db.example/futures?sslpassword={SECRET}",
        f"postgresql:///?user=me&password={SECRET}&host=db.example",
    ],
)
def test_a_password_in_an_address_is_refused_before_anything_is_connected_and_not_repeated(url):
    with pytest.raises(DatabaseError, match=r"PGPASSWORD, or into ~/\.pgpass") as error, connected(url):
        pass
    assert SECRET not in "".join(traceback.format_exception(error.value))  # which --debug shows


@pytest.mark.parametrize(
    "url", ["futures.csv", "host=db.example password=x", "mysql://me@db/x", "postgresql://db?nonsense=1", "", None]
)
def test_what_is_no_address_is_told(url):
    with pytest.raises(DatabaseError, match="address"):
        checked(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://db.example/futures", "postgresql://db.example/futures"),
        ("postgres://me@db.example:5433/futures?sslmode=require", "postgresql://me@db.example:5433/futures"),
        ("postgresql:///futures?host=/run/postgresql&user=me@corp", "postgresql://me@corp@/run/postgresql/futures"),
        ("postgresql://me:@db.example/futures", "postgresql://me@db.example/futures"),
        ("postgresql://", "postgresql://localhost/"),
    ],
)
def test_an_address_is_shown_by_user_server_and_database(url, told):
    assert shown(url) == told
