"""The doors: ways for people and other programs to ask.

Reading order: `command` (the command line), `values` (what is given on it), `asked` (what is wanted
and found), `answer_text` and `answer_json` (the same answer for a person and for a machine),
`book_text` (the book of functions), `page` (lines on paper).
"""
