"""Slow twin of the choice of whole contracts: every contract more or less is tried on the whole book."""

import math


def nearest(ideal, held, lowest, highest, covariance, cost):
    """Whole positions close to the ideal ones, from each rounded, one contract at a time, as long as one helps."""
    least = 1e-9 * math.sqrt(max(quadratic(ideal, covariance), 0.0))
    sizes = []
    for i, wish in enumerate(ideal):
        start = math.copysign(math.ceil(abs(wish) - 0.5), wish)
        bounds = (ceil(lowest[i]), floor(highest[i]))
        sizes.append(min(max(start, bounds[0]), bounds[1]) + 0.0)

    def worth(tried):
        gap = [a - b for a, b in zip(tried, ideal, strict=True)]
        paid = math.fsum(c * abs(a - b) for c, a, b in zip(cost, tried, held, strict=True))
        return math.sqrt(max(quadratic(gap, covariance), 0.0)) + paid

    while True:
        best, found = worth(sizes) - least, None
        for i, wish in enumerate(ideal):
            for step in (math.copysign(1.0, wish), -math.copysign(1.0, wish)):
                there = sizes[i] + step
                if not wish or there * wish < 0.0 or not lowest[i] <= there <= highest[i]:
                    continue
                tried = [*sizes[:i], there, *sizes[i + 1 :]]
                value = worth(tried)
                if value < (best if found is None else best - least):
                    best, found = value, tried
        if found is None:
            return sizes
        sizes = found


def quadratic(vector, matrix):
    """v'Cv."""
    return math.fsum(a * matrix[i][j] * b for i, a in enumerate(vector) for j, b in enumerate(vector))


def ceil(x):
    return x if math.isinf(x) else float(math.ceil(x))


def floor(x):
    return x if math.isinf(x) else float(math.floor(x))
