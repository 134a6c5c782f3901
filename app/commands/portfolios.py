"""Portfolios that a verb names: a file, one beside the store, or one that ships."""

import typer


def portfolio_of(path, archive, changes=()):
    """The portfolio of a file with settings changed; a bare name may also be one beside the store or one that ships."""
    from config import FOLDER
    from engine.portfolio import Portfolio
    from engine.settings import ConfigError, nearest
    from engine.strategy import load_user

    broken = []
    load_user(archive.path / "strategies", broken)
    places = [path]
    if path.name == str(path):
        name = path if path.suffix == ".toml" else path.with_name(f"{path.name}.toml")
        places += [archive.path / "portfolios" / name, FOLDER / "portfolios" / name]
    file = next((place for place in places if place.is_file()), path)
    if len(places) > 1 and not file.exists():
        names = sorted({one.stem for place in places[1:] for one in place.parent.glob("*.toml")})
        raise ConfigError(f"{path}: no such file, and no portfolio of that name; there are {', '.join(names)}"
                          f"{nearest(path.stem, names)}")  # fmt: skip
    found = Portfolio.from_toml(file).with_settings([*changes])
    warn_of(broken)
    return found


def warn_of(broken):
    """Tell files beside the store whose strategies are not on the list."""
    for reason in broken:
        typer.echo(f"frontmonth: warning: {reason}; no strategy of this file is on the list", err=True)
