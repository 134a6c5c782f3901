"""The one compiler setting of the house.

Cached on disk, so that only the first run ever waits; free of the interpreter lock, so that many runs go side by side
as threads; no fast-math and no `parallel`, so that the order of every sum is fixed and runs repeat bit for bit.
"""

import numba

kernel = numba.njit(cache=True, nogil=True, fastmath=False)
inlined = numba.njit(inline="always", nogil=True, fastmath=False)  # in a kernel's hot path a call is too dear

# A kernel that counts no references. Else each array taken out of a tuple, and each row of one, is counted up and down
# with a locked instruction: two thirds of the loop over bars (24 markets x 20 years: 31 ms with, 11 without, the same
# bit for bit). It must not make an array, nor call what returns one: that would never be freed. `_nrt` is a private
# option of numba; without it all works as before, but slower.
bare = numba.njit(cache=True, nogil=True, fastmath=False, _nrt=False)
