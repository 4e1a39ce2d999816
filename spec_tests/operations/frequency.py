"""FREQ: how often a latent fires, and what that makes it cost."""

from sae_spec.spec_tests.operations.mistakes import values
from sae_spec.spec_tests.operations.record import Area

FREQ = Area("FREQ", "Frequencies and prices")

DECAY = {"decay": "how much of the running average each batch leaves of it, at least 0 and below 1"}
RUNNING = {"mean": "state (M,)  the running average, which starts at 0", "batches": "()  how many batches it has seen"}
PRICING = {"D": "the input dimension", "min_frequency": "a frequency below it counts as this, above 0 and at most 1"}
WRONG_PRICING = {"D": values("below 2", 1, 0), "min_frequency": values("0, negative or above 1", 0, -0.5, 2)}
WRONG_DECAY = {"decay": values("negative, or 1 and above", -0.5, 1)}


@FREQ.operation("in how many samples each latent fires", inputs={"acts": "(B, M)"}, outputs={"counts": "(M,)"})
def firing_counts(on, config, acts):
    return {"counts": on.frequency.firing_counts(acts)}


@FREQ.operation("the exact frequency over a data set",
                inputs={"counts": "state (M,)  summed over the data set", "samples": "()  how many were counted"},
                outputs={"frequency": "(M,)"}, refused={"samples": values("0", 0)})
def frequency(on, config, counts, samples):
    return {"frequency": on.frequency.frequency(counts, float(samples))}


@FREQ.operation("one update of the running frequency", DECAY, RUNNING | {"acts": "(B, M)"},
                {"mean": "(M,)", "batches": "()"}, WRONG_DECAY)
def running_mean(on, config, mean, batches, acts):
    mean, batches = on.frequency.running_mean(mean, int(batches), acts, config["decay"])
    return {"mean": mean, "batches": batches}


@FREQ.operation("the running frequency, without its bias towards the 0 it started from", DECAY, RUNNING,
                {"frequency": "(M,)"}, {"batches": values("0, before the first batch", 0, called="batch")})
def running_frequency(on, config, mean, batches):
    return {"frequency": on.frequency.running_frequency(mean, int(batches), config["decay"])}


@FREQ.operation("what one firing of a latent costs", PRICING, {"frequency": "state (M,)"}, {"price": "(M,)"}, WRONG_PRICING)
def price(on, config, frequency):
    return {"price": on.frequency.price(frequency, config["D"], config["min_frequency"])}


@FREQ.operation("the price that training uses, from the running frequency", DECAY | PRICING, RUNNING, {"price": "(M,)"},
                parts=["running_frequency", "price"])
def running_price(on, config, mean, batches):
    return {"price": on.frequency.running_price(mean, int(batches), config["decay"], config["D"], config["min_frequency"])}
