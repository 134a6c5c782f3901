"""The one compiler setting of the house.

Cached on disk, so that only the first run ever waits; free of the interpreter lock, so that many runs go side by side
as threads; no fast-math and no `parallel`, so that the order of every sum is fixed and runs repeat bit for bit.
"""

import numba

kernel = numba.njit(cache=True, nogil=True, fastmath=False)
inlined = numba.njit(inline="always", nogil=True, fastmath=False)  # in a kernel's hot path a call is too dear
