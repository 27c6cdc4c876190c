"""What somebody says a derivative is: read beside the question, judged, and told what is off."""

from wrt.answers.claims.verdict import Verdict, judge

__all__ = ["Verdict", "judge"]
