"""The console script `sae-spec`: its commands, and `main`, which turns a user's mistake into one line.

Importing this file needs the base dependencies alone. Torch is imported by the command that needs it, so that --help answers
at once, and without torch; a command that lacks a package says which extra brings it.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from . import absorption_command, synthetic_command, train_command
from .terminal import choose_device, folded, needs, say

ABOUT = """Sparse autoencoders (SAEs): train them, and check that an implementation computes what it should.

An SAE takes a model's activations apart: it writes each vector as a sum of a few directions from a large,
learned dictionary, so that a direction can be read as one concept.

[bold]Start here[/bold]

sae-spec demo [dim]- see feature absorption arise and go away[/dim]

sae-spec train activations.npy --out run [dim]- train on your own activations, one row a token[/dim]

sae-spec absorption run --data activations.npy [dim]- which latents are absorbed into which?[/dim]

sae-spec check [dim]- does the PyTorch implementation compute what the specification says?[/dim]

sae-spec check my_adapter.py [dim]- does mine?[/dim]
"""

app = typer.Typer(help=folded(ABOUT), no_args_is_help=True, add_completion=False,
                  rich_markup_mode="rich", pretty_exceptions_enable=False)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run a command; never returns.

    argv    the arguments after the program's name; this process's unless given
    exits with the command's code; with 2, after one line on stderr, when the user must change something
    """
    try:
        app(args=argv, prog_name="sae-spec")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:                             # MissingPackage, CheckpointError, TrainingDiverged too
        fail(str(error))
    sys.exit(0)


def fail(message: str) -> NoReturn:
    """One line on stderr, red where that can be seen, and exit code 2."""
    line = "error: " + " ".join(message.split())
    print(f"\033[31m{line}\033[0m" if sys.stderr.isatty() else line, file=sys.stderr)
    sys.exit(2)


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"sae-spec {version('sae-spec')}")
        raise typer.Exit()


@app.callback()
def common(version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True,
                                                 help="Print the version.")] = False) -> None:
    pass


@app.command()
@needs("demo")
def demo(out: Annotated[Path, typer.Option(help="Folder for what it draws.")] = Path("sae-spec-demo")) -> None:
    """See feature absorption arise in a toy world, and what makes it go away."""
    from .demo import main as run_demo

    raise typer.Exit(run_demo(out))


app.command("train", help=folded(train_command.ABOUT))(needs("torch")(train_command.train))
app.command("absorption", help=folded(absorption_command.ABOUT))(needs("demo")(absorption_command.absorption))
app.command("synthetic", help=folded(synthetic_command.ABOUT))(needs("torch")(synthetic_command.synthetic))


@app.command()
@needs("torch")
def encode(
    run: Annotated[Path, typer.Argument(help="The SAE: a run's folder, a file of `save`, or a SAELens checkpoint.")],
    data: Annotated[Path, typer.Argument(help="Activations: a .npy or .safetensors file, (N, D).")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    tensor: Annotated[str | None, typer.Option(help="Which tensor of a .safetensors file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
) -> None:
    """Which latents are on in every row of a file, and how strongly: values, indices and offsets.

    Row n owns values\\[offsets\\[n]:offsets\\[n + 1]], which belong to the latents indices\\[offsets\\[n]:offsets\\[n + 1]].
    """
    from ..formats import load_any
    from ..training.data import open_activations
    from ..training.encode_file import checked, encode_file

    checked(out)
    sae, source = load_any(run, choose_device(device)), open_activations(data, tensor)
    if source.D != sae.config.D:
        raise ValueError(f"{data}: the data has D = {source.D}, the SAE has D = {sae.config.D}")
    active = encode_file(sae, source, out)
    say(f"{out}: {active} activations of {source.N} rows, {active / source.N:.1f} a row")


@app.command()
@needs("torch")
def bench(
    D: Annotated[int, typer.Option("--D", min=2, help="Dimension of the activations.")] = 768,
    M: Annotated[int, typer.Option("--M", min=2, help="Number of latents.")] = 12288,
    k: Annotated[int, typer.Option("--k", min=1, help="Latents on per sample.")] = 32,
    B: Annotated[int, typer.Option("--B", min=1, help="Samples per step.")] = 2048,
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each that are timed.")] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="A small shape and few rounds: does it run?")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    peers: Annotated[Path, typer.Option(help="The environment that `make bench-peers` makes.")] = Path(".peers/torch"),
    json: Annotated[Path | None, typer.Option(help="Add what was measured to this file, for its shape.")] = None,
) -> None:
    """How long a training step takes, beside the encoder's product and beside other libraries.

    All take turns on the same weights and batches. Exit code 1: they do not compute the same loss.
    """
    from .bench.command import main as run_bench

    shape = {"D": 64, "M": 512, "k": 8, "B": 128, "rounds": 3} if quick else {"D": D, "M": M, "k": k, "B": B, "rounds": rounds}
    raise typer.Exit(run_bench(shape, choose_device(device), peers, json))


Dtypes = Annotated[list[str] | None, typer.Option(help="Only this precision, e.g. float32; repeatable.")]
Clauses = Annotated[list[str] | None, typer.Option(help="Only this clause, e.g. ACT-4; repeatable.")]
Cases = Annotated[list[str] | None, typer.Option(help="Only the case with this id; repeatable.")]
Required = Annotated[list[str] | None, typer.Option(help="Unsupported counts as failed here, e.g. 'ACT-*'; repeatable.")]


@app.command()
@needs("test")
def check(
    adapter: Annotated[str, typer.Argument(help="An adapter: its name or its path.")] = "torch_impl",
    dtype: Dtypes = None,
    clause: Clauses = None,
    case: Cases = None,
    require: Required = None,
    report: Annotated[Path | None, typer.Option(help="Write all outcomes to this JSON file.")] = None,
) -> None:
    """Check an implementation against the specification's golden data and properties.

    Exit code 0: everything passed. An adapter is a small Python file: README shows one.
    """
    from sae_spec.spec_tests.__main__ import main as run_suite

    if adapter == "torch_impl":
        needs("torch,test")(import_module)("sae_spec.torch_impl.training.trainer")       # what is missing shows here
    argv = ["--adapter", adapter]
    for name, values in {"dtype": dtype, "clause": clause, "case": case, "require": require}.items():
        for value in values or []:
            argv += [f"--{name}", value]
    if report:
        argv += ["--report", str(report)]
    raise typer.Exit(run_suite(argv))


if __name__ == "__main__":
    main()
