"""A training run: the steps of a Trainer over data, with metrics and checkpoints in a folder."""

from pathlib import Path

from . import checkpoint, metrics
from ..sae.training import learning_rate


def fit(trainer, data, run_folder, progress=True):
    """See `Trainer.fit`."""
    training = trainer.training
    trainer.sae.train()
    enter(trainer, data, Path(run_folder))
    batches = data.batches(trainer.steps_done, training.steps, training.batch_size, training.seed)
    with metrics.progress_bar(progress) as bar:
        task = bar.add_task("", total=training.steps, completed=trainer.steps_done, numbers="")
        for x in batches:
            rate = learning_rate(trainer.steps_done, trainer.config)
            passed = trainer.advance(x)
            last = trainer.steps_done == training.steps
            if last or trainer.steps_done % training.log_every == 0:
                numbers = metrics.measure(passed, rate)
                metrics.append(trainer.run_folder / "metrics.jsonl", trainer.steps_done, numbers)
                bar.update(task, numbers=metrics.summary(numbers))
            if last or trainer.steps_done % training.checkpoint_every == 0:
                save(trainer)
            bar.advance(task)


def enter(trainer, data, folder):
    """Take a new folder for the run, or go on in the run's own with the run's own data."""
    if data.D != trainer.sae.config.D:
        raise ValueError(f"the data has D = {data.D}, the SAE has D = {trainer.sae.config.D}")
    if folder == trainer.run_folder:
        if checkpoint.read_config(folder)[2] != data.fingerprint():
            raise checkpoint.CheckpointError(f"{folder / 'config.json'}: data: the run began with other data")
        metrics.cut(folder / "metrics.jsonl", trainer.steps_done)
        return
    checkpoint.start(folder, trainer.sae.config, trainer.training, data.fingerprint())
    trainer.run_folder = folder
    save(trainer)                                           # now there is something to resume


def save(trainer):
    """Make the present state the current checkpoint of the run."""
    checkpoint.save(trainer.run_folder, trainer.sae, trainer.moments(), trainer.steps_done)
