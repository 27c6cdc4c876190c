"""The same question has the same answer in every process, whatever order its sets are in."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from test_cases import COVERED

#: One case of every few, so that a process takes seconds.
STEP = 6

ASKED = """
import json, sys
import wrt
told = []
for case in json.loads(sys.stdin.read()):
    symmetric = case["symmetric"] or "projected"
    D = wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"], symmetric=symmetric)
    told.append([case["id"], D.matrix, D.index, D.whole.digest.hex(), D.structure_sentence])
print(json.dumps(told))
"""


def answers(seed: str) -> list[list[str]]:
    """What a new Python says, its strings hashed with this seed."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        input=json.dumps(COVERED[::STEP]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [list(map(str, row)) for row in json.loads(done.stdout)]


def test_answers_are_the_same_in_every_process() -> None:
    first = answers("1")
    assert len(first) == len(COVERED[::STEP])
    for seed in ("2", "77"):
        for one, other in zip(first, answers(seed), strict=True):
            assert one == other
