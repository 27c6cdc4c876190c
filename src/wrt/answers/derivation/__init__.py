"""How an answer is derived: its `steps`, each with the rule that gave it (`rules`, `lines`), each
proved (`proving`).
"""
