"""What is thought of a claim, laid out for a person and for a machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wrt.apps.answer_text import described, formula, proof, remarks, spaced, title, typeset
from wrt.apps.page import Page, unbroken
from wrt.language import in_text

if TYPE_CHECKING:
    from wrt.answers.claims import Verdict
    from wrt.apps.asked import Found

__all__ = ["claim_as_dict", "write_verdict"]

_EQUATION = re.compile(r"\S+ = \S+")
_STYLES = {"right": "good", "layout": "good", "if": "head", "wrong": "head"}


def write_verdict(found: Found, page: Page) -> None:
    """Write what was claimed, the verdict and its reasons on a page."""
    D, verdict, claim = found.derivative, found.verdict, found.asked.claim
    assert verdict is not None
    assert claim is not None
    page.head(title(D), described(D))
    formula(D, page)
    said = in_text(claim, D.question)
    claim = " ".join(claim.split())
    page.row("claim", spaced(claim) if said == claim else claim)
    if said != claim and said.split() != claim.split():
        page.row("read as", spaced(said))
    page.row("verdict", spoken(verdict.sentence), _STYLES[verdict.kind])
    for fault in verdict.faults:
        page.row("", spoken(fault))
    if verdict.kind != "right":
        plain = verdict.truth.startswith("D[")
        page.row("derivative", typeset(verdict.truth) if plain else spaced(verdict.truth))
    if verdict.where:
        page.row("differs", _kept(str(verdict.where)))
    remarks(D, page)
    page.row("checked", proof(found.check), "good")


def spoken(sentence: str) -> str:
    """A sentence about a formula: an index form typeset, `g'D = …` kept on one line."""
    sentence = _kept(sentence)
    return typeset(sentence) if "D[" in sentence else sentence


def _kept(sentence: str) -> str:
    """A sentence whose equations stay on one line."""
    return _EQUATION.sub(lambda match: unbroken(match[0]), sentence)


def claim_as_dict(claim: str, verdict: Verdict) -> dict[str, Any]:
    """The verdict as the schema of `answer_json` says."""
    where = verdict.where
    return {
        "text": claim,
        "verdict": verdict.kind,
        "sentence": verdict.sentence,
        "layout": verdict.layout,
        "condition": verdict.condition,
        "faults": list(verdict.faults),
        "differs": where
        and {
            "sizes": dict(where.sizes),
            "values": dict(where.values),
            "entry": list(where.entry),
            "claimed": where.claimed,
            "truth": where.truth,
        },
    }
