"""What somebody says a derivative is: read beside the question, judged, and told what is off."""

from typing import TYPE_CHECKING

from wrt.expression.on_use import on_use

if TYPE_CHECKING:
    from wrt.answers.claims.verdict import Verdict, judge

__all__ = ["Verdict", "judge"]

__getattr__ = on_use(__name__, {"Verdict": "verdict", "judge": "verdict"})
