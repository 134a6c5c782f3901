"""Markov switching: published filtered chances, all paths counted, planted states, and what may not be seen."""

import csv
import itertools
import math

import numpy as np
import pytest

from engine.analysis import states as model
from engine.analysis.states import Fits, begun, fits, fitted, hamilton, log_normal, states, told
from tests.conftest import REPO

GNP = REPO / "tests" / "answers" / "gnp_1951.csv"
CALM_STAYS, WILD_STAYS, WILD = 0.99, 0.97, 2.5


def days(bars):
    """Weekdays."""
    return np.busday_offset("2004-01-05", np.arange(bars), roll="forward")


def planted(bars, seed, stays=(CALM_STAYS, WILD_STAYS), spread=(1.0, WILD), first=0):
    """(moves, states) of a known chain."""
    random = np.random.default_rng(seed)
    state = np.full(bars, first)
    for t, chance in enumerate(random.random(bars - 1), 1):
        state[t] = state[t - 1] if chance < stays[state[t - 1]] else 1 - state[t - 1]
    return random.normal(0.0, 1.0, bars) * np.array(spread)[state], state


def smoothed(chances, transition):
    """Kim's smoother over filtered chances: what must never be told, for it reads what came after."""
    out = chances.copy()
    for t in range(len(out) - 2, -1, -1):
        ahead = chances[t] @ transition
        out[t] = chances[t] * (transition @ (out[t + 1] / ahead))
    return out


# The filter


def test_the_filtered_chances_of_hamiltons_recessions_are_those_of_eviews():
    """GNP growth 1951Q2-1984Q4, two means, four lags (Hamilton 1989). Numbers of EViews, as statsmodels' tests quote
    them: params, log-likelihood -181.26339 and chances to 1e-6, kept in tests/answers."""
    with GNP.open() as file:
        rows = list(csv.DictReader(file))
    growth = np.array([float(row["growth"]) for row in rows])
    published = np.array([float(row["filtered"]) for row in rows[4:]])
    means, lags = (-0.358811, 1.163516), (0.013486, -0.057521, -0.246983, -0.212923)
    variance = math.exp(-0.262658) ** 2
    chain = np.array([[0.754673, 1.0 - 0.754673], [0.095915, 1.0 - 0.095915]])
    usual = np.array([chain[1, 0], chain[0, 1]]) / (chain[1, 0] + chain[0, 1])
    paths = list(itertools.product((0, 1), repeat=5))  # the state of a quarter and of the four before it
    transition = np.array([[chain[a[0], b[0]] if a[:4] == b[1:] else 0.0 for b in paths] for a in paths])
    start = np.array([usual[p[4]] * math.prod(chain[p[k + 1], p[k]] for k in range(4)) for p in paths])
    density = np.empty((len(growth) - 4, len(paths)))
    for t in range(4, len(growth)):
        for k, path in enumerate(paths):
            apart = [growth[t - lag] - means[path[lag]] for lag in range(5)]
            shock = apart[0] - sum(one * two for one, two in zip(lags, apart[1:], strict=True))
            density[t - 4, k] = -0.5 * (math.log(2.0 * math.pi * variance) + shock**2 / variance)
    chances, likelihood = hamilton(density, transition, start)
    grows = chances[:, [path[0] == 1 for path in paths]].sum(axis=1)
    np.testing.assert_allclose(grows, published, atol=1e-5)
    assert likelihood == pytest.approx(-181.26339, abs=1e-5)
    late = np.array([float(row["smoothed"]) for row in rows[4:]])
    assert np.abs(late - published).max() > 0.5  # the smoothed ones are others: this test tells them apart


def test_the_filter_counts_all_paths():
    """Three states, seven bars: 3^7 paths, each with its chance, added up."""
    random = np.random.default_rng(2)
    x, mean, variance = random.normal(0.0, 2.0, 7), np.array([0.1, 0.0, -0.5]), np.array([0.5, 2.0, 9.0])
    transition = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])
    start = np.array([0.5, 0.3, 0.2])
    ours, likelihood = hamilton(log_normal(x, mean, variance), transition, start)
    for end in range(1, 8):
        total = np.zeros(3)
        for path in itertools.product(range(3), repeat=end):
            chance = start[path[0]]
            for t, k in enumerate(path):
                chance *= math.exp(-((x[t] - mean[k]) ** 2) / 2.0 / variance[k]) / math.sqrt(2 * math.pi * variance[k])
                chance *= transition[path[t - 1], k] if t else 1.0
            total[path[-1]] += chance
        np.testing.assert_allclose(ours[end - 1], total / total.sum(), rtol=1e-12)
    assert likelihood == pytest.approx(math.log(total.sum()), rel=1e-12)


def test_a_move_of_a_million_deviations_is_in_the_wild_state():
    x = np.array([0.1, 1e6, 0.1])
    chances, likelihood = hamilton(
        log_normal(x, np.zeros(2), np.array([1.0, 9.0])), np.array([[0.9, 0.1], [0.1, 0.9]]), np.full(2, 0.5)
    )
    assert chances[1].tolist() == [0.0, 1.0] and np.isfinite(likelihood)


# The fit


def test_each_round_of_a_fit_gains_likelihood():
    x = planted(1500, 4)[0]
    reached = [fitted(x, *begun(x, 2), rounds, 0.0)[3] for rounds in range(1, 30)]
    assert (np.diff(reached) > -1e-9).all() and reached[-1] > reached[0] + 10.0


def test_a_planted_chain_is_measured():
    """To about two standard errors: 20,000 bars, of which a quarter is wild in stretches of 33."""
    x = planted(20_000, 5)[0]
    mean, variance, transition, likelihood = fitted(x, *begun(x, 2))
    np.testing.assert_allclose(mean, 0.0, atol=0.08)
    np.testing.assert_allclose(variance, [1.0, WILD**2], rtol=0.06)
    np.testing.assert_allclose(np.diag(transition), [CALM_STAYS, WILD_STAYS], atol=0.008)
    truth = np.array([[CALM_STAYS, 1 - CALM_STAYS], [1 - WILD_STAYS, WILD_STAYS]])
    of_truth = hamilton(log_normal(x, np.zeros(2), np.array([1.0, WILD**2])), truth, np.full(2, 0.5))[1]
    assert 0.0 < likelihood - of_truth < 15.0  # half of a chi-square of six


@pytest.mark.parametrize("count", [2, 3])
def test_a_fit_is_that_of_statsmodels(count):
    """The same model by another's filter and another's search. There what is known of the states is two bars older than
    the first bar, here it is of the first: that moves the log-likelihood by a hundredth."""
    reason = "statsmodels is not installed: requirements-peers.lock has it, and no part of frontmonth needs it"
    markov = pytest.importorskip("statsmodels.tsa.regime_switching.markov_regression", reason=reason)
    x = planted(1500, 6)[0]
    x[:500] *= 1.0 if count == 2 else 3.0
    mean, variance, transition, likelihood = fitted(x, *begun(x, count), 2000, 1e-9)
    theirs = markov.MarkovRegression(x, k_regimes=count, switching_variance=True)
    even = np.full(count, 1.0 / count)
    theirs.initialize_known(even)
    ours = np.concatenate([transition[:, : count - 1].T.ravel(), mean, variance])
    found = theirs.filter(ours)
    chances, same = hamilton(log_normal(x, mean, variance), transition, transition.T @ transition.T @ even)
    assert found.llf == pytest.approx(same, abs=1e-8) and same == pytest.approx(likelihood, abs=0.05)
    np.testing.assert_allclose(chances, found.filtered_marginal_probabilities, atol=1e-9)
    best = theirs.fit(start_params=ours, disp=False)
    assert abs(best.llf - found.llf) < 0.01
    np.testing.assert_allclose(best.params, ours, atol=0.02)


# What is told


def test_planted_states_are_told_on_nine_days_of_ten():
    for seed in range(5):
        x, state = planted(3000, seed)
        chances = states(x[:, None], days(3000))[:, 0]
        known = ~np.isnan(chances[:, 0])
        assert not known[: model.LEAST].any() and known[800:].all()
        assert (chances[known].argmax(axis=1) == state[known]).mean() > 0.9


def test_a_mixture_without_memory_tells_fewer_and_flickers():
    """Why it is not used, and what docs/regimes.md says of it: the same bars, even fitted on all of them."""
    from sklearn.mixture import GaussianMixture

    right, flips = np.zeros(2), np.zeros(3)
    for seed in range(5):
        x, state = planted(3000, seed)
        chances = states(x[:, None], days(3000))[:, 0]
        known = ~np.isnan(chances[:, 0])
        mixture = GaussianMixture(2, random_state=0).fit(x[:, None])
        wild = mixture.covariances_.ravel().argmax()
        told_states = [chances[known].argmax(axis=1), (mixture.predict(x[:, None])[known] == wild).astype(int)]
        right += [(one == state[known]).mean() / 5 for one in told_states]
        years = known.sum() / 252
        flips += [np.abs(np.diff(one)).sum() / years / 5 for one in (*told_states, state[known])]
    page = " ".join((REPO / "docs" / "regimes.md").read_text(encoding="utf-8").split())
    assert f"it is right on {right[1]:.0%} of the days".replace("%", " %") in page
    assert f"changes its state {flips[1]:.0f} times a year" in page
    assert f"right on {right[0]:.0%} and changes it {flips[0]:.0f} times".replace("%", " %") in page
    assert f"the truth changes {flips[2]:.0f} times" in page


@pytest.mark.parametrize("tail", [math.inf, 4.0, 3.0])
def test_white_noise_has_no_states_whatever_its_tails(tail):
    """100 series of twelve years, normal or with the tails of Student's t: no false alarm in 98 of them."""
    random = np.random.default_rng(7)
    noise = random.normal(0.0, 1.0, (3000, 100)) if math.isinf(tail) else random.standard_t(tail, (3000, 100))
    alarms = (~np.isnan(states(noise, days(3000))[..., 0])).any(axis=0)
    assert alarms.mean() <= 0.02


def test_states_are_named_by_their_variance_however_a_series_begins():
    for first in (0, 1):
        x = planted(2000, 8, first=first)[0]
        (one,) = fits(x[:, None], days(2000))
        assert one.told.any() and (one.variance[one.told, 0] < one.variance[one.told, 1]).all()
    three = np.concatenate([planted(1500, 9)[0], 8.0 * np.random.default_rng(1).normal(0.0, 1.0, 500)])
    (one,) = fits(three[:, None], days(2000), 3)
    assert (np.diff(one.variance[~np.isnan(one.variance[:, 0])], axis=1) > 0.0).all()


def test_a_holiday_keeps_the_state_and_is_no_bar():
    x = planted(1500, 10)[0]
    gaps = np.zeros(1500, bool)
    gaps[np.random.default_rng(3).choice(1500, 60, replace=False)] = True
    gaps[:3] = True
    with_gaps = np.where(gaps, np.nan, x)[:, None]
    chances = states(with_gaps, days(1500))[:, 0]
    held = np.flatnonzero(gaps & (np.arange(1500) > 900))
    np.testing.assert_array_equal(chances[held], chances[held - 1])
    rows = np.flatnonzero(~gaps)
    (one,) = fits(with_gaps, days(1500))
    last = len(one.told) - 1
    end = 1500
    alone = hamilton(log_normal(x[rows], one.mean[last], one.variance[last]), one.transition[last], np.full(2, 0.5))[0]
    np.testing.assert_array_equal(chances[rows[rows >= end - 100]], alone[-(rows >= end - 100).sum() :])


def test_nothing_is_told_of_a_market_that_does_not_move_or_has_no_bars():
    still, empty = np.zeros((1200, 1)), np.full((1200, 1), np.nan)
    assert np.isnan(states(np.hstack([still, empty]), days(1200))).all()
    assert states(np.empty((10, 0)), days(10)).shape == (10, 0, 2)


# No look into the future


def first_peek(make, x, when, cuts):
    """The first of the days `cuts` before which something changes when all after it is gone or is another; None."""
    whole = make(x, when)
    for t in cuts:
        other = x.copy()
        other[t:] = np.random.default_rng(t).normal(0.0, 7.0, other[t:].shape)
        for changed, told_days in ((x[:t], when[:t]), (other, when)):
            if not np.array_equal(make(changed, told_days)[:t], whole[:t], equal_nan=True):
                return t
    return None


CUTS = np.random.default_rng(11).integers(400, 1600, 12).tolist()


def test_what_is_told_of_a_part_is_what_is_told_of_the_whole():
    x = np.column_stack([planted(1600, seed)[0] for seed in (12, 13)])
    x[::37, 1] = np.nan
    assert first_peek(states, x, days(1600), [*CUTS, 781, 782, 783]) is None  # the first days of 2007


def test_smoothed_chances_and_one_fit_for_all_years_would_be_caught():
    def smooth(x, when):
        out = np.full((*x.shape, 2), np.nan)
        for m, one in enumerate(fits(x, when)):
            if one.told.any():
                last = np.flatnonzero(one.told)[-1]
                density = log_normal(np.ascontiguousarray(x[:, m]), one.mean[last], one.variance[last])
                filtered = hamilton(density, one.transition[last], np.full(2, 0.5))[0]
                out[:, m] = smoothed(filtered, one.transition[last])
        return out

    def once(x, when):
        made = fitted(x[:, 0].copy(), *begun(x[:, 0].copy(), 2))
        return hamilton(log_normal(x[:, 0].copy(), made[0], made[1]), made[2], np.full(2, 0.5))[0]

    def smooth_by_known_models(x, when):
        return smoothed(told(x, when, known)[900:, 0], known[0].transition[-1])

    x, when = planted(1600, 12)[0][:, None], days(1600)
    known = fits(x, when)
    assert first_peek(smooth, x, when, CUTS) is not None
    assert first_peek(once, x, when, CUTS) is not None
    assert first_peek(smooth_by_known_models, x, when, [1000, 1300]) is not None
    assert first_peek(lambda y, w: told(y, w, known), x, when, [1000, 1300]) is None


def test_a_fit_reads_the_bars_before_its_day_and_no_other():
    x, when = planted(1600, 14)[0], days(1600)
    years = when.astype("datetime64[Y]")
    refit = np.flatnonzero(years[1:] != years[:-1])[-1] + 1  # the first row of the last year
    (was,) = fits(x[:, None], when)

    def changed(row):
        other = x.copy()
        other[row] = 30.0
        return fits(other[:, None], when)[0]

    def same(one, other):
        return all(np.array_equal(a[-1], b[-1]) for a, b in zip(one, other, strict=True))

    assert was.told[-1]
    assert same(was, changed(refit)) and not same(was, changed(refit - 1))


def test_between_its_fits_a_model_is_left_alone():
    x, when = planted(1600, 15)[0][:, None], days(1600)
    (one,) = fits(x, when)
    frozen = Fits(*(np.repeat(part[-1:], len(part), axis=0) for part in one))
    last_year = when >= when[-1].astype("datetime64[Y]").astype("datetime64[D]")
    np.testing.assert_array_equal(states(x, when)[last_year], told(x, when, [frozen])[last_year])
