"""The language room: text to formula.

Reading order: `operators` (one table), `lexer`, `syntax`, `parser`, `declarations`, `words`,
`kinds`, `elaboration`, `inference`, `shapes`, `builder`, `indexform`, `reader`; `mistakes` words
what is wrong.
"""

from __future__ import annotations

from wrt.language.reader import Reading, Selection, Wanted, in_text, read, read_wrt

__all__ = ["Reading", "Selection", "Wanted", "in_text", "read", "read_wrt"]
