"""The table that makes equal nodes identical: each by its digest, and none kept alive by it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING
from weakref import ref

try:  # hashlib loads all of OpenSSL, for hashes that are not needed here
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    from wrt.expression.nodes import Node

__all__ = ["blake2b", "digest_of", "find", "keep", "lock"]

#: Held while a node is put into the table or forgotten.
lock = RLock()


class _Kept(ref["Node"]):
    """A node of the table, which forgets it when it is freed."""

    __slots__ = ("digest",)
    digest: bytes


_table: dict[bytes, _Kept] = {}


def digest_of(kind: str, said: str, children: Sequence[Node]) -> bytes:
    """What tells a node from any other, the same in every process."""
    parts = [f"{kind}{said}".encode()]
    for child in children:
        parts.append(child.digest)  # quicker for the few that there are
    return blake2b(b"".join(parts), digest_size=16).digest()


def find(digest: bytes) -> Node | None:
    """The node of a digest, where there is one."""
    kept = _table.get(digest)
    return None if kept is None else kept()


def keep(digest: bytes, node: Node) -> Node:
    """Remember a node as long as it is used: the one of the table, where another thread was
    first.
    """
    kept = _Kept(node, _forget)
    kept.digest = digest
    with lock:
        first = find(digest)
        if first is not None:
            return first
        _table[digest] = kept
    return node


def _forget(kept: _Kept, table: dict[bytes, _Kept] = _table, held: RLock = lock) -> None:
    """Called as nodes are freed, also when the names of this module are gone already."""
    with held:
        if table.get(kept.digest) is kept:
            del table[kept.digest]
