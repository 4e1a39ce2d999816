"""The libraries that are measured, and their environments."""

import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ADAPTERS = HERE.parent / "adapters"
TOML = HERE / "libraries.toml"


@dataclass(frozen=True)
class Library:
    name: str               # of its adapter and its judgements
    title: str
    version: str
    environment: str
    docs: str
    issues: str

    @property
    def judgements(self):
        return HERE / "judgements" / f"{self.name}.toml"

    @property
    def measured(self):
        return HERE / "measured" / f"{self.name}.json"

    @property
    def replays(self):
        return HERE / "measured" / "replays" / self.name

    def command(self):
        """The program that the suite asks, as one types it at the project's root."""
        return (f".peers/{self.environment}/bin/python spec_tests/adapters/serve.py "
                f"spec_tests/adapters/peers/{self.name}.py")


def read_libraries(path=TOML):
    """{name: Library}, in the file's order; ValueError of one line for an entry that is not whole."""
    document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    wanted = {field.name for field in fields(Library)} - {"name"}
    libraries = {}
    for name, entry in document["libraries"].items():
        if set(entry) != wanted:
            raise ValueError(f"{path}: libraries.{name}: needs {', '.join(sorted(wanted))}, it has {', '.join(sorted(entry))}")
        if entry["environment"] not in document["environments"]:
            raise ValueError(f"{path}: libraries.{name}.environment: there is no environments.{entry['environment']}")
        libraries[name] = Library(name, **entry)
    return libraries


def environments(path=TOML):
    """{name: {"install": lists of packages, "without": packages}}"""
    return tomllib.loads(Path(path).read_text(encoding="utf-8"))["environments"]


def make_environment(name, root):
    """`.peers/NAME` under the root, unless it is there with the packages that libraries.toml names now."""
    folder, wanted = root / ".peers" / name, environments()[name]
    receipt = folder / "installed"
    if receipt.exists() and receipt.read_text(encoding="utf-8") == str(wanted):
        return
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = [folder / "bin" / "python", "-m", "pip"]
    for packages in wanted["install"]:
        subprocess.run([*python, "install", "--quiet", *packages], check=True)
    if wanted.get("without"):
        subprocess.run([*python, "uninstall", "--quiet", "--yes", *wanted["without"]], check=True)
    receipt.write_text(str(wanted), encoding="utf-8")
