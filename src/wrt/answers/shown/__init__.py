"""How an answer is shown: in views, layers, LaTeX and sentences."""
