"""FREQ: how often a latent fires, and what that makes it cost.

The price of firing grows with rarity, so that two common latents can be cheaper than one rare one, but no
latent is free: were the common ones free, the dictionary would collapse to an always-on basis of the space.

    price = log_D max(D, 1 / frequency)           a frequency below min_frequency counts as that

A latent that fires at least once in D samples costs 1; one that fires once in D^2 samples costs 2. At D = 768 one that
fires in .01 % of samples costs ln(10^4) / ln(768) = 1.386.
It is proportional to ln(max(d, 1/f)), the cost proposed in the public discussion of "Toy Models of Feature
Absorption in SAEs" ("the thread", in this project); the factor 1 / ln D makes the lowest price 1.
B stands for any number of leading dimensions.
"""

import numpy as np


def firing_counts(acts):
    """How many samples each latent fired in.

        counts[i] = sum_b 1[acts[b, i] != 0]

    acts    (B, M), of either sign
    returns counts (M,)

    [FREQ-1] A latent fires when its activation is not zero; a negative activation is a firing too; a
             count is a whole number in every dtype of acts: 257 firings are not 256.
    """
    return (acts != 0).reshape(-1, acts.shape[-1]).sum(0).astype(acts.dtype)   # (M,)


def frequency(counts, samples):
    """The exact frequency over a data set.

        frequency[i] = counts[i] / samples

    counts   (M,)  summed over the whole data set, batch by batch
    samples  how many samples were counted
    returns frequency (M,), from 0 to 1
    raises  ValueError for no samples

    [FREQ-2] Exact frequency is total count over total samples, however the data was cut into batches;
             over no samples it is an error.
    """
    if not samples > 0:
        raise ValueError(f"samples must be positive, got {samples}")
    return counts / samples                                 # (M,)


def running_mean(mean, batches, acts, decay):
    """Follow the frequency during training, by an exponential average over batches that starts at 0.

        mean <- decay · mean + (1 - decay) · firing_counts(acts) / B

    mean     (M,)  the average so far, 0 at the start: biased towards 0 (see `running_frequency`)
    batches  how many batches it has seen
    acts     (B, M)
    decay    0 <= decay < 1
    returns mean (M,), batches
    raises  ValueError for a decay outside [0, 1)

    [FREQ-3] Each batch enters the average with weight 1 - decay, whatever its size.
    [FREQ-4] A batch of no samples leaves the average and its count alone.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
    samples = acts.size // acts.shape[-1]
    if samples == 0:
        return mean, batches
    return decay * mean + (1 - decay) * frequency(firing_counts(acts), samples), batches + 1


def running_frequency(mean, batches, decay):
    """The running average without its bias towards the 0 it started from.

        frequency = mean / (1 - decay^batches)

    mean     (M,)
    batches  how many it has seen, at least 1
    decay    as for `running_mean`
    returns frequency (M,)
    raises  ValueError before the first batch

    [FREQ-5] The running frequency is debiased by 1 - decay^batches: after one batch it is that batch's.
    """
    if batches < 1:
        raise ValueError("the running frequency needs at least one batch")
    return mean / (1 - decay**batches)                      # (M,)


def price(frequency, D, min_frequency):
    """What one firing of a latent costs.

        price[i] = max(1, ln(1 / max(frequency[i], min_frequency)) / ln D)

    frequency      (M,)  from 0 to 1
    D              input dimension, >= 2
    min_frequency  the floor, above 0 and at most 1
    returns price (M,), >= 1
    raises  ValueError for D < 2 or a floor outside (0, 1]

    [FREQ-6] price = log_D max(D, 1 / frequency): exactly 1 for every latent that fires at least once in D samples.
    [FREQ-7] A frequency below min_frequency counts as min_frequency, so a dead latent's price is finite.
    [FREQ-8] D is at least 2 and min_frequency lies above 0 and at most 1; anything else is an error.
    [FREQ-9] The price is a constant in every gradient.
    """
    if D < 2:
        raise ValueError(f"D must be at least 2 for prices, got {D}")
    if not 0 < min_frequency <= 1:
        raise ValueError(f"min_frequency must be above 0 and at most 1, got {min_frequency}")
    floored = np.maximum(frequency, min_frequency)          # (M,)
    rarity = np.log(1 / floored) / np.log(D)                # (M,)  at 1 / D it is 1 only up to rounding,
    return np.where(floored >= 1 / D, 1.0, np.maximum(1.0, rarity))   # so the exact 1 is written out


def running_price(mean, batches, decay, D, min_frequency):
    """The price that training uses: from the running frequency, before the batch it is applied to.

    mean           (M,)
    batches        how many batches the mean has seen
    decay          as for `running_mean`
    D              input dimension, >= 2
    min_frequency  the floor
    returns price (M,)

    [FREQ-10] Before the first batch every price is 1.
    [FREQ-11] A batch is priced by the estimate from the batches before it, never by itself.
    """
    if batches == 0:
        return np.ones_like(mean)                           # (M,)
    return price(running_frequency(mean, batches, decay), D, min_frequency)
