"""What was measured, to be kept: a JSON list of sessions, one for each shape and device, without their single steps."""

import json

from ...training.atomic import replace_file

ABOUT = ("settings", "rounds", "machine")
KEPT = ("version", "paired_ratio", "median", "quartiles", "peak_bytes", "error")      # of each subject, where it has them


def add(found, path):
    """Add session.run's document to the record at path, in place of an earlier one of its shape and device."""
    new = brief(found)
    others = [each for each in read(path) if each["settings"] != new["settings"]] if path.exists() else []
    found = sorted([*others, new], key=lambda each: (each["settings"]["device"], each["settings"]["M"]))
    replace_file(path, lambda to: to.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def brief(found):
    """The document without what only the session itself needs; seconds and ratios to four digits."""
    subjects = {name: {key: short(each[key]) for key in KEPT if key in each} for name, each in found["subjects"].items()}
    return {key: found[key] for key in ABOUT} | {"subjects": subjects}


def short(value):
    if isinstance(value, list):
        return [short(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
