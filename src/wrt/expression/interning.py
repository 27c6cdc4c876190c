"""The table that makes equal nodes identical: each by its digest, and none kept alive by it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING
from weakref import ref

try:  # hashlib loads all of OpenSSL, for hashes that are not needed here
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    from wrt.expression.nodes import Node

__all__ = ["alive", "blake2b", "digest_of", "find", "head_of_call", "keep", "lock"]

#: Held while what stands in the table is put out of it.
lock = RLock()

#: So many nodes may stand in the table before it is looked through for those that were freed.
LEAST = 10_000


class _Table(dict[bytes, "ref[Node]"]):
    """Nodes by their digests; `limit` is the length at which it is looked through.

    That nodes are freed is not told to it: a call for each of a hundred thousand would cost more
    than to look through the table each time that it has doubled.
    """

    limit = LEAST


_table = _Table()


def digest_of(head: bytes, children: Sequence[Node]) -> bytes:
    """What tells a node from any other, the same in every process."""
    if len(children) == 1:
        return blake2b(head + children[0].digest, digest_size=16).digest()
    parts = [head]
    for child in children:
        parts.append(child.digest)  # quicker for the few that there are
    return blake2b(b"".join(parts), digest_size=16).digest()


@lru_cache(maxsize=1024)
def head_of_call(key: str, batch: int) -> bytes:
    """What a call says besides its arguments."""
    return f"Apply({key!r}, {batch})".encode()


def find(digest: bytes) -> Node | None:
    """The node of a digest, where there is one."""
    kept = _table.get(digest)
    return None if kept is None else kept()


def keep(digest: bytes, node: Node) -> Node:
    """Remember a node as long as it is used: the one of the table, where another thread was
    first.
    """
    kept = ref(node)
    if _table.setdefault(digest, kept) is not kept:
        return _put(digest, node, kept)
    if len(_table) > _table.limit:
        alive()
    return node


def _put(digest: bytes, node: Node, kept: ref[Node]) -> Node:
    """Put a node in the place of one that was freed, unless another thread did."""
    with lock:
        first = find(digest)
        if first is not None:
            return first
        _table[digest] = kept
    return node


def alive() -> int:
    """How many nodes there are; the table forgets those that were freed."""
    with lock:
        for digest, kept in _table.copy().items():
            if kept() is None and _table.get(digest) is kept:
                del _table[digest]
        _table.limit = max(LEAST, 2 * len(_table))
        return len(_table)
