"""The command `sae-spec train`: one option per configuration field; config.py describes each once."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ..sae import CHOOSING_RULES
from ..training.config import Config, SAEConfig, TrainingConfig
from .terminal import choose_device, say

if TYPE_CHECKING:
    from ..training.trainer import Trainer

AnyConfig = TypeVar("AnyConfig", bound=Config)

ABOUT = """Train an SAE on activations in a .npy or .safetensors file of shape (N, D), one row a token.

The file is read piece by piece and may be larger than memory. The run folder gets config.json,
sae.safetensors, the trainer's state and metrics.jsonl. A run that was stopped goes on with --resume as if it
had never been. Unless given, M is 8 times D and k is 32 (for a small D, a quarter of it).

[bold]Examples[/bold]

sae-spec train acts.npy --out run

sae-spec train acts.npy --out run --M 16384 --k 64 --steps 50000

sae-spec train acts.npy --out run --activation jumprelu --l0-coefficient 2 --tie-coefficient 0.1

sae-spec train acts.npy --out run --resume

[bold]Afterwards, in Python[/bold]

sae = sae_spec.torch_impl.load_sae("run"); out = sae(x)
"""
OWN_OPTIONS = {
    "data": Annotated[Path, typer.Argument(help="Activations: a .npy or .safetensors file, (N, D).")],
    "out": Annotated[Path, typer.Option(help="The run folder: new or empty, unless --resume.")],
    "config": Annotated[Path | None, typer.Option(help=(
        "A TOML file with tables \\[sae] and \\[training]; options on the command line win."))],
    "tensor": Annotated[str | None, typer.Option(help="Which tensor of a .safetensors file.")],
    "device": Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")],
    "resume": Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")],
}
OWN_DEFAULTS = {"config": None, "tensor": None, "device": "auto", "resume": False}


def train(data: Path, out: Path, config: Path | None, tensor: str | None, device: str, resume: bool, **options: Any) -> None:
    """The command. `options` has every field of both configurations; None: not given."""
    from ..training.data import open_activations
    from ..training.trainer import Trainer

    if not resume and (out / "config.json").exists():
        raise ValueError(f"{out}: holds another run; resume it (--resume) or choose another folder")
    if options.get("prefixes"):
        options["prefixes"] = numbers_of(options["prefixes"])
    tables = read_toml(config) if config else {"sae": {}, "training": {}}
    for model, table in ((SAEConfig, "sae"), (TrainingConfig, "training")):
        tables[table] |= {name: options[name] for name in model.model_fields if options.get(name) is not None}
    source, device = open_activations(data, tensor), choose_device(device)
    if resume:
        trainer = Trainer.resume(out, device)
        refuse_changes(tables, trainer, config, options)
    else:
        sae_config = build(SAEConfig, complete(tables["sae"], source.D), config, options)
        training = build(TrainingConfig, tables["training"], config, options)
        trainer = Trainer.start(sae_config, training, source, device)
        note_what_is_missing(trainer)
    trainer.fit(source, out)
    say(f"{trainer.steps_done} steps done: load_sae reads the SAE in {out}, metrics.jsonl tells how it went")


def numbers_of(lists: Sequence[str]) -> list[int | str]:
    """The numbers of lists such as "64,256", one after the other; what is no number stays, for the configuration to refuse."""
    words = [word.strip() for numbers in lists for word in numbers.split(",")]
    return [int(word) if word.isdecimal() else word for word in words]


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """The tables [sae] and [training] of a TOML file.

    raises  OSError, ValueError that names the file
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    with open(path, "rb") as file:
        try:
            content = tomllib.load(file)
        except ValueError as error:                         # TOMLDecodeError, and bytes that are not UTF-8
            raise ValueError(f"{path}: not TOML ({error})") from None
    tables = {"sae": {}, "training": {}}
    for name, table in content.items():
        if name not in tables or not isinstance(table, dict):
            raise ValueError(f"{path}: {name}: unknown; the tables are [sae] and [training]")
    return tables | content


def complete(sae: Mapping[str, Any], D: int) -> dict[str, Any]:
    """What was asked of the SAE, with D from the data and a size and sparsity to begin with."""
    if sae.get("D", D) != D:
        raise ValueError(f"SAEConfig.D: the data has D = {D}, got {sae['D']}")
    chooses = sae.get("activation", SAEConfig.model_fields["activation"].default) in CHOOSING_RULES
    k = {"k": max(1, min(32, D // 4))} if chooses else {}
    return {"D": D, "M": 8 * D, **k, **sae}


def build(model: type[AnyConfig], values: Mapping[str, Any], file: Path | None, options: Mapping[str, Any]) -> AnyConfig:
    """A configuration; a mistake in what the TOML file says, and not an option, names the file too."""
    try:
        return model(**values)
    except ValueError as error:
        field = str(error).partition(":")[0].split(".")[1]  # of "SAEConfig.prefixes.0: must be ..."
        by_file = file is not None and options.get(field) is None
        raise ValueError(f"{file}: {error}" if by_file else str(error)) from None


def refuse_changes(tables: Mapping[str, Mapping[str, Any]], trainer: "Trainer", file: Path | None,
                   options: Mapping[str, Any]) -> None:
    """A resumed run keeps its configuration; asking for another is an error, not ignored."""
    for table, config in (("sae", trainer.sae.config), ("training", trainer.training)):
        wanted = build(type(config), {**config.model_dump(), **tables[table]}, file, options)
        for name in tables[table]:
            if getattr(wanted, name) != getattr(config, name):
                raise ValueError(f"{type(config).__name__}.{name}: the run to resume has "
                                 f"{getattr(config, name)}, got {getattr(wanted, name)}")


def note_what_is_missing(trainer: "Trainer") -> None:
    """An activation that does not choose needs a sparsity cost; without one it is legal but hardly meant."""
    activation = trainer.sae.config.activation
    paid = any(trainer.config[f"{term}_coefficient"] for term in ("l1", "l0", "tanh"))
    if activation not in CHOOSING_RULES and not paid:
        costs = "--l1-coefficient or --tanh-coefficient"
        say(f"note: nothing makes this {activation} SAE sparse; give it {costs}"
            + (" or --l0-coefficient" if activation == "jumprelu" else ""))


def signature_of_train() -> inspect.Signature:
    """What typer reads off `train`: its own options, then one for each field of the configurations."""
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation,
                                    default=OWN_DEFAULTS.get(name, inspect.Parameter.empty))
                  for name, annotation in OWN_OPTIONS.items()]
    for model, panel in ((SAEConfig, "The SAE"), (TrainingConfig, "Training")):
        parameters += [option_of(name, field, panel)
                       for name, field in model.model_fields.items() if name != "D"]
    return inspect.Signature(parameters)


def option_of(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    """The command-line option of a configuration field: left out, the field keeps its default."""
    kind: Any = field.annotation
    if type(None) in get_args(kind):                        # Optional[kind]
        kind = next(arg for arg in get_args(kind) if arg is not type(None))
    choices = f": {', '.join(get_args(kind))}" if get_origin(kind) is Literal else ""
    shown = "" if field.get_default() in (None, PydanticUndefined) else f" (default: {field.default})"
    if get_origin(kind) is tuple:
        kind, shown = list[str], f", as 64,256,1024{shown}"
    kind = str if get_origin(kind) is Literal else kind
    flag = name.replace("_", "-")
    option = typer.Option(f"--{flag}/--no-{flag}" if kind is bool else f"--{flag}", rich_help_panel=panel,
                          help=(field.description or "") + choices + shown)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None,
                             annotation=Annotated[kind | None, option])


vars(train)["__signature__"] = signature_of_train()
train.__annotations__ = {name: option.annotation for name, option in signature_of_train().parameters.items()}
