"""Work done behind: by one thread, one piece after the other, while whoever gave it goes on; all is done in the end.

For writing what was made: hashing, laying out and writing do not hold the interpreter. A few pieces wait at most, so
that what is to be written never fills a memory; who gives more waits. An error is raised where the block ends.
"""

import queue
import threading

WAITING = 8  # pieces that wait at most


class Behind:
    """Functions without arguments are given to `do`; use it as a context, at whose end they have been called.

    >>> done = []
    >>> with Behind() as behind:
    ...     for number in range(3):
    ...         behind.do(lambda number=number: done.append(number))
    >>> done
    [0, 1, 2]
    """

    def __init__(self):
        self.waiting, self.thread, self.error = queue.Queue(WAITING), None, None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.thread:
            self.waiting.put(None)
            self.thread.join()
        if self.error and kind is None:  # else the block's own error is told
            raise self.error

    def do(self, work):
        """Call `work` later, after all that was given before."""
        if self.thread is None:
            self.thread = threading.Thread(target=self._run)
            self.thread.start()
        self.waiting.put(work)

    def _run(self):
        while (work := self.waiting.get()) is not None:
            if self.error is None:  # after one that failed nothing is done any more
                try:
                    work()
                except BaseException as error:  # noqa: BLE001  polars panics are no Exception; raised by `__exit__`
                    self.error = error
