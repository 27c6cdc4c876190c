"""Python's search for rings of objects, put off while many nodes are made.

Nodes hold each other in no ring, so the search finds nothing among them, and yet it goes through
all of them again whenever there are a quarter more. Deriving and planning a formula of ten
thousand nodes took a fifth longer for it.
"""

from __future__ import annotations

import gc
from threading import RLock

__all__ = ["postponed"]

#: While the search is put off, it begins when so many objects were made and not freed.
MANY = 1_000_000


class _Postponed:
    """Puts the search off until the last of those who asked for it, in any thread, is done."""

    def __init__(self) -> None:
        self.lock, self.asking, self.before = RLock(), 0, gc.get_threshold()

    def __enter__(self) -> None:
        with self.lock:
            self.asking += 1
            if self.asking == 1:
                self.before = gc.get_threshold()
                if 0 < self.before[0] < MANY:
                    gc.set_threshold(MANY, *self.before[1:])

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.asking -= 1
            if not self.asking and gc.get_threshold()[0] == MANY:
                gc.set_threshold(*self.before)


#: `with postponed:` around work that makes many nodes; what was set before holds again behind it.
#:
#: >>> import gc
#: >>> before = gc.get_threshold()
#: >>> with postponed:
#: ...     gc.get_threshold()[0] > before[0]
#: True
#: >>> gc.get_threshold() == before
#: True
postponed = _Postponed()
