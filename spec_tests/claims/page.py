"""The claims' page: one HTML file with figures inside, and one JSON."""

import html
import json

from sae_spec.torch_impl.pages import picture

STYLE = ("body{font:16px/1.5 system-ui;max-width:52rem;margin:2rem auto;padding:0 1rem}h2{margin-top:2.5rem}"
         "pre{background:#f4f4f4;padding:.7rem;overflow-x:auto;font-size:13px}img{max-width:100%}"
         ".true{color:#0a7a2f}.false{color:#b00020}td,th{padding:.1rem .7rem;text-align:left}")


def verdict(outcome):
    return "true" if outcome.holds else "false"


def page(results, seeds):
    """HTML; results: list of (Claim, Outcome, seconds)."""
    rows = "".join(f'<tr><td><a href="#{c.name}">{c.name}</a></td><td class="{verdict(o)}">{verdict(o)}</td>'
                   f"<td>{html.escape(c.sentence)}</td></tr>" for c, o, _ in results)
    parts = "".join(
        f'<h2 id="{c.name}">{c.name}: <span class="{verdict(o)}">{verdict(o)}</span></h2>'
        f"<p>{html.escape(c.sentence)}</p>"
        f"<p><small>{html.escape(c.source)}. Rule: {html.escape(o.rule)}. {seconds:.0f} s.</small></p>"
        f"<pre>{html.escape(listed(o.numbers))}</pre>"
        f'<img alt="{c.name}" src="{picture(o.figure)}">' for c, o, seconds in results)
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Claims about absorption</title>'
            f"<style>{STYLE}</style><h1>Claims about absorption, tried</h1><p>{seeds} seeds each. A "
            "verdict is computed from the numbers below it; a claim that turns out false is shown as false. The thread is "
            "the public discussion of “Toy Models of Feature Absorption in SAEs”.</p>"
            f"<table>{rows}</table>{parts}</html>\n")


def listed(numbers):
    rounded = json.loads(json.dumps(numbers), parse_float=lambda text: float(f"{float(text):.4g}"))
    return "\n".join(f"{name}: {value}" for name, value in rounded.items())


def document(results, seeds):
    """What goes into claims.json."""
    told = {c.name: {"sentence": c.sentence, "source": c.source, "holds": o.holds, "rule": o.rule, "numbers": o.numbers,
                     "seconds": round(s, 1)} for c, o, s in results}
    return {"seeds": seeds, "claims": told}
