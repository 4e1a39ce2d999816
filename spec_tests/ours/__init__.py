
from sae_spec.spec_tests.core.commands import Ran


def called(capsys, *words):
    """`sae-spec` with its words, in this process and folder: quicker than `start`. What pytest has captured must hold no traceback."""
    from sae_spec.torch_impl.program.command_line import main

    status = None
    try:
        main(list(map(str, words)))
    except SystemExit as ended:
        status = ended.code
    ran = Ran(status, *capsys.readouterr())
    assert status is not None and "Traceback" not in ran.text
    return ran
