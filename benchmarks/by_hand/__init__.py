"""The best NumPy programs that a person would write: the second yardstick of every row."""
