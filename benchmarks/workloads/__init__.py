"""Everything that is measured, in the order of the table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.tasks import Workload
from benchmarks.workloads.dense import DENSE
from benchmarks.workloads.recurrences import THROUGH_TIME
from benchmarks.workloads.structured import STRUCTURED

__all__ = ["WORKLOADS"]

WORKLOADS: Sequence[Workload] = (*DENSE, *THROUGH_TIME, *STRUCTURED)
