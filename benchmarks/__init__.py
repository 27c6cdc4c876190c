"""How long things take: `python -m benchmarks` prints the table."""
