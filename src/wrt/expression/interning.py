"""The table that makes equal nodes identical: each by its digest, and none kept alive by it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from threading import RLock
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from wrt.expression.nodes import Node

__all__ = ["digest_of", "find", "keep", "lock"]

#: Held while a node is looked up and made; it may be freed, and forgotten, meanwhile.
lock = RLock()


class _Kept(ref["Node"]):
    """A node of the table, which forgets it when it is freed."""

    __slots__ = ("digest",)
    digest: bytes


_table: dict[bytes, _Kept] = {}


def digest_of(kind: str, said: str, children: Sequence[Node]) -> bytes:
    """What tells a node from any other, the same in every process."""
    parts = [f"{kind}{said}".encode(), *[child.digest for child in children]]
    return blake2b(b"".join(parts), digest_size=16).digest()


def find(digest: bytes) -> Node | None:
    """The node of a digest, where there is one."""
    kept = _table.get(digest)
    return None if kept is None else kept()


def keep(digest: bytes, node: Node) -> None:
    """Remember a node as long as it is used."""
    _table[digest] = kept = _Kept(node, _forget)
    kept.digest = digest


def _forget(kept: _Kept, table: dict[bytes, _Kept] = _table, held: RLock = lock) -> None:
    """Called as nodes are freed, also when the names of this module are gone already."""
    with held:
        if table.get(kept.digest) is kept:
            del table[kept.digest]
