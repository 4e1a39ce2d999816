"""The commands of `sae-spec`. Torch is imported by the command that needs it: --help answers at once."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Optional

import typer

from . import absorption_command, train_command

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

app = typer.Typer(help=train_command.folded(ABOUT), no_args_is_help=True, add_completion=False,
                  rich_markup_mode="rich", pretty_exceptions_enable=False)


def show_version(wanted: bool):
    if wanted:
        print(f"sae-spec {version('sae-spec')}")
        raise typer.Exit()


@app.callback()
def common(version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True,
                                                 help="Print the version.")] = False):
    pass


def repeatable(text):
    return Annotated[Optional[list[str]], typer.Option(help=f"{text}; repeatable.")]


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for what it draws.")] = Path("sae-spec-demo")):
    """See feature absorption arise in a toy world, and what makes it go away."""
    from .demo import main as run_demo

    raise typer.Exit(run_demo(out))


app.command(help=train_command.folded(train_command.ABOUT))(train_command.train)
app.command(help=train_command.folded(absorption_command.ABOUT))(absorption_command.absorption)


@app.command()
def encode(
    run: Annotated[Path, typer.Argument(help="A run folder that `sae-spec train` wrote.")],
    data: Annotated[Path, typer.Argument(help="Activations: a .npy or .safetensors file, (N, D).")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    tensor: Annotated[Optional[str], typer.Option(help="Which tensor of a .safetensors file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
):
    """Which latents are on in every row of a file, and how strongly: values, indices and offsets.

    Row n owns values[offsets[n]:offsets[n + 1]], which belong to the latents indices[offsets[n]:offsets[n + 1]].
    """
    from ..training.checkpoint import load_sae
    from ..training.data import open_activations
    from ..training.encode_file import encode_file

    sae, source = load_sae(run, train_command.choose_device(device)), open_activations(data, tensor)
    if source.D != sae.config.D:
        raise ValueError(f"{data}: the data has D = {source.D}, the SAE has D = {sae.config.D}")
    found = encode_file(sae, source, out)
    train_command.say(f"{out}: {found} activations of {source.N} rows, {found / source.N:.1f} a row")


@app.command()
def bench(
    D: Annotated[int, typer.Option("--D", min=2, help="Dimension of the activations.")] = 768,
    M: Annotated[int, typer.Option("--M", min=2, help="Number of latents.")] = 12288,
    k: Annotated[int, typer.Option("--k", min=1, help="Latents on per sample.")] = 32,
    B: Annotated[int, typer.Option("--B", min=1, help="Samples per step.")] = 2048,
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each that are timed.")] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="A small shape and few rounds: does it run?")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    peers: Annotated[Path, typer.Option(help="The environment that `make bench-peers` makes.")] = Path(".peers"),
    json: Annotated[Optional[Path], typer.Option(help="Add what was measured to this file, for its shape.")] = None,
):
    """How long a training step takes, beside the encoder's product and beside other libraries.

    All take turns on the same weights and batches. Exit code 1: they do not compute the same loss.
    """
    from .bench.command import main as run_bench

    shape = {"D": 64, "M": 512, "k": 8, "B": 128, "rounds": 3} if quick else {"D": D, "M": M, "k": k, "B": B, "rounds": rounds}
    raise typer.Exit(run_bench(shape, train_command.choose_device(device), peers, json))


@app.command()
def check(
    adapter: Annotated[str, typer.Argument(help="An adapter: its name or its path.")] = "torch_impl",
    dtype: repeatable("Only this precision, e.g. float32") = None,
    clause: repeatable("Only this clause, e.g. ACT-4") = None,
    case: repeatable("Only the case with this id") = None,
    require: repeatable("Unsupported counts as failed here, e.g. 'ACT-*'") = None,
    report: Annotated[Optional[Path], typer.Option(help="Write all outcomes to this JSON file.")] = None,
):
    """Check an implementation against the specification's golden data and properties.

    Exit code 0: everything passed. An adapter is a small Python file: see spec_tests/adapter.py.
    """
    from sae_spec.spec_tests.__main__ import main as run_suite

    argv = ["--adapter", adapter]
    for name, values in {"dtype": dtype, "clause": clause, "case": case, "require": require}.items():
        for value in values or []:
            argv += [f"--{name}", value]
    if report:
        argv += ["--report", str(report)]
    raise typer.Exit(run_suite(argv))
