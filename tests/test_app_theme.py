"""Colours of data, told apart by eyes that lack one kind of cone.

Sight is that of G. Machado, M. Oliveira, L. Fernandes, "A physiologically-based model for simulation of color vision
deficiency", IEEE TVCG 15, 2009, at severity 1; distance is CIEDE2000 as G. Sharma, W. Wu, E. Dalal tell it, "The
CIEDE2000 color-difference formula", Color Research and Application 30, 2005, and their table is its check.
"""

from itertools import combinations

import numpy as np
import pytest

from app import theme

SIGHTS = {  # of linear red, green, blue
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(  # IEC 61966-2-1, white D65
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colour, sight):
    """CIELAB of "#rrggbb" as a sight has it; light that no screen gives is clipped."""
    coded = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    seen = TO_XYZ @ np.clip(sight @ linear, 0.0, 1.0) / TO_XYZ.sum(axis=1)
    root = np.where(seen > (6.0 / 29.0) ** 3, np.cbrt(seen), seen * (29.0 / 6.0) ** 2 / 3.0 + 4.0 / 29.0)
    return 116.0 * root[1] - 16.0, 500.0 * (root[0] - root[1]), 200.0 * (root[1] - root[2])


def distance(one, other):
    """CIEDE2000 of two CIELAB colours, weights 1."""
    (light1, a1, b1), (light2, a2, b2) = one, other
    power = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2.0) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(power / (power + 25.0**7))
    chroma1, chroma2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    hue1, hue2 = (np.degrees(np.arctan2(b, stretch * a)) % 360.0 for a, b in ((a1, b1), (a2, b2)))
    grey = chroma1 * chroma2 == 0.0
    turn = 0.0 if grey else (hue2 - hue1 + 180.0) % 360.0 - 180.0
    if turn == -180.0 and hue2 > hue1:
        turn = 180.0
    hue = hue1 + hue2
    if not grey:
        hue = hue / 2.0 if abs(hue1 - hue2) <= 180.0 else (hue + (360.0 if hue < 360.0 else -360.0)) / 2.0
    light, chroma = (light1 + light2) / 2.0, (chroma1 + chroma2) / 2.0
    weight = (
        1.0 - 0.17 * np.cos(np.radians(hue - 30.0)) + 0.24 * np.cos(np.radians(2.0 * hue))
        + 0.32 * np.cos(np.radians(3.0 * hue + 6.0)) - 0.20 * np.cos(np.radians(4.0 * hue - 63.0))
    )  # fmt: skip
    parts = (
        (light2 - light1) / (1.0 + 0.015 * (light - 50.0) ** 2 / np.sqrt(20.0 + (light - 50.0) ** 2)),
        (chroma2 - chroma1) / (1.0 + 0.045 * chroma),
        2.0 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn / 2.0)) / (1.0 + 0.015 * chroma * weight),
    )
    bend = np.sin(np.radians(60.0 * np.exp(-(((hue - 275.0) / 25.0) ** 2))))
    rotation = -2.0 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * bend
    return np.sqrt(sum(part**2 for part in parts) + rotation * parts[1] * parts[2])


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_distance_of_colours_is_that_of_the_published_pairs(one, other, told):
    assert round(float(distance(one, other)), 4) == told


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize(
    ("colours", "least"),
    [
        ((theme.GAIN, theme.LOSS), 40.0),
        ((theme.LIGHT["gain"], theme.LIGHT["loss"]), 40.0),
        ((theme.DARK["gain"], theme.DARK["loss"]), 40.0),
        ((theme.GAIN, theme.WHOLE), 15.0),  # what is picked beside the whole
        (tuple(theme.LIMITS.values()), 15.0),
        (theme.REGIMES, 15.0),
        (theme.RUNS, 12.0),
        (theme.SECTOR_COLOURS, 7.0),  # ten of them, each with its name
    ],
    ids=["gains", "gains in light text", "gains in dark text", "picked", "limits", "regimes", "runs", "sectors"],
)
def test_colours_with_a_meaning_are_told_apart_by_every_sight(colours, least, sight):
    seen = [lab(colour, SIGHTS[sight]) for colour in colours]
    assert min(distance(one, other) for one, other in combinations(seen, 2)) >= least
