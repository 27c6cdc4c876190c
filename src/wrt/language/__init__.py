"""The language room: text to formula.

Reading order: `operators` (one table), `lexer`, `syntax`, `parser`, `declarations`, `words`,
`kinds`, `elaboration`, `inference`, `shapes`, `builder`, `indexform`, `reader`; `mistakes` words
what is wrong. LaTeX makes the same syntax: `latex_words` (the commands), `latex_tokens`,
`latex_cursor`, `latex_marks`, `latex_names`, `latex_reader`, `latex_sums`, `latex_lines`; `written`
says syntax in the text language.
"""

from __future__ import annotations

from wrt.language.reader import Reading, Selection, Wanted, in_text, read, read_wrt

__all__ = ["Reading", "Selection", "Wanted", "in_text", "read", "read_wrt"]
