"""What was measured, to be kept: a JSON list of sessions, one for each shape and device, without their single steps."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...training.atomic import replace_text

ABOUT = ("settings", "rounds", "machine")
OF_EACH = ("version", "paired_ratio", "median", "quartiles", "peak_bytes", "error")   # of a subject, where it has them


def add(document: Mapping[str, Any], path: Path) -> None:
    """Add session.run's document to the record at path, in place of an earlier one of its shape and device."""
    new = brief(document)
    others = [old for old in read(path) if old["settings"] != new["settings"]] if path.exists() else []
    sessions = sorted([*others, new], key=lambda session: (session["settings"]["device"], session["settings"]["M"]))
    replace_text(path, json.dumps(sessions, indent=1) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The sessions of a record."""
    return json.loads(path.read_text(encoding="utf-8"))


def brief(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what only the session itself needs; seconds and ratios to four digits."""
    subjects = {name: {key: short(measured[key]) for key in OF_EACH if key in measured}
                for name, measured in document["subjects"].items()}
    return {key: document[key] for key in ABOUT} | {"subjects": subjects}


def short(value: Any) -> Any:
    """Numbers to four digits."""
    if isinstance(value, list):
        return [short(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
