"""Of each sample the latents that can still be among its k largest, while blocks of latents go by."""

import torch
from torch import Tensor

from .screen import Bounds
from .sparse_products import counted_offsets

SLOTS_PER_K = 10                # room of a row, in k
SHORTEN_PER_K = 4               # a list is shortened when its rows hold so many, in k, on average
GUESS_FROM = 8                  # of so many latents a first guess looks at one
INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def as_integers(numbers: Tensor) -> Tensor:
    """Floating-point numbers as integers in the same order, as far as they are above 0: bfloat16 compares slowly."""
    return numbers.view(INTEGERS[numbers.element_size()])


class Shortlist:
    """Rows of candidates: an upper bound of each and its latent, latents ascending, unused slots 0.

    A candidate's bound is at least `least`: there are k entries in its row that surely are no smaller, and it
    is above 0.
    """

    def __init__(self, bounds: Bounds, B: int, k: int):
        """
        bounds  what gives the upper and lower bounds of a product (B, M)
        k       how many of each row are wanted
        """
        self.bounds, self.k, room = bounds, k, SLOTS_PER_K * k
        self.upper = torch.zeros(B, room, dtype=bounds.dtype)
        self.latent = torch.zeros(B, room, dtype=torch.int64)
        self.count = torch.zeros(B, dtype=torch.int64)
        self.lost = torch.zeros(B, dtype=torch.bool)        # rows that had more candidates than room
        self.least: Tensor | None = None                    # (B, 1), as integers

    def take(self, first: int, upper: Tensor) -> bool:
        """Add the candidates among latents first, first + 1, .. with bounds upper (B, n); False: there are too many."""
        (B, n), room = upper.shape, self.upper.shape[1]
        if self.least is None:
            self.least = self._least(*_guess(first, upper))
        place = _nonzero(as_integers(upper) >= self.least)
        if len(place) > B * room:
            return False
        row = place // n
        self._add(row, place - row * n + first, upper.flatten()[place])
        if self.count.sum() > SHORTEN_PER_K * self.k * B:
            self.shorten()
        return True

    def shorten(self) -> None:
        """Drop those that can no longer be among the k largest."""
        width = int(self.count.max().clamp(self.k, self.upper.shape[1]))
        upper, latent = self.upper[:, :width], self.latent[:, :width]
        self.least = self._least(upper, latent)
        stays = as_integers(upper) >= self.least
        remaining = stays.nonzero()[:, 0], latent[stays], upper[stays]
        upper.zero_()
        self.count.zero_()
        self._add(*remaining)

    def _add(self, row: Tensor, latent: Tensor, upper: Tensor) -> None:
        """Append entries (n,), given row by row."""
        room, new = self.upper.shape[1], torch.bincount(row, minlength=len(self.count))
        slot = torch.arange(len(row)) + (self.count - new.cumsum(0) + new)[row]
        self.count += new
        if self.count.max() > room:
            self.lost |= self.count > room
            self.count.clamp_(max=room)
            fits = slot < room
            row, slot, latent, upper = row[fits], slot[fits], latent[fits], upper[fits]
        flat = row * room + slot
        self.upper.view(-1)[flat], self.latent.view(-1)[flat] = upper, latent

    def _least(self, upper: Tensor, latent: Tensor) -> Tensor:
        """What a candidate needs, (B, 1): any k entries are no smaller than the least of their lower bounds."""
        best = upper.topk(self.k, sorted=False)
        rows = torch.arange(len(upper)).unsqueeze(1)
        sure = self.bounds.lower(best.values, rows, latent.gather(1, best.indices)).amin(1, keepdim=True)
        return as_integers(sure.to(upper.dtype)).clamp(min=1)                     # above 0, hence no unused slot

    def entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """Bounds and latents (nnz,), and offsets (B + 1,)."""
        used = torch.arange(self.upper.shape[1]) < self.count.unsqueeze(1)
        return self.upper[used], self.latent[used], counted_offsets(self.count)


class BatchShortlist:
    """As Shortlist, for the budget largest of all rows together: flat, in no order."""

    def __init__(self, bounds: Bounds, budget: int):
        self.bounds, self.budget = bounds, budget
        self.least: Tensor | None = None                    # of no dimensions, as an integer
        self.row, self.latent = torch.zeros(2, 0, dtype=torch.int64)
        self.upper = torch.zeros(0, dtype=bounds.dtype)

    def take(self, first: int, upper: Tensor) -> bool:
        """As Shortlist's."""
        B, n = upper.shape
        if self.least is None:
            guess, latent = _guess(first, upper)
            self.least = self._least(guess.flatten(), torch.arange(B).repeat_interleave(latent.shape[1]), latent.flatten())
        place = _nonzero(as_integers(upper) >= self.least)
        if len(place) + len(self.row) > SLOTS_PER_K * self.budget:
            return False
        row = place // n
        new = upper.flatten()[place], row, place - row * n + first
        self.upper, self.row, self.latent = map(torch.cat, zip((self.upper, self.row, self.latent), new))
        if len(self.row) > SHORTEN_PER_K * self.budget:
            self.shorten()
        return True

    def shorten(self) -> None:
        """As Shortlist's."""
        if len(self.row) >= self.budget:
            self.least = self._least(self.upper, self.row, self.latent)
        if self.least is None:                              # nothing was taken yet
            return
        stays = as_integers(self.upper) >= self.least
        self.upper, self.row, self.latent = self.upper[stays], self.row[stays], self.latent[stays]

    def _least(self, upper: Tensor, row: Tensor, latent: Tensor) -> Tensor:
        """As Shortlist's, one number of no dimensions."""
        best = upper.topk(self.budget, sorted=False)
        sure = self.bounds.lower(best.values, row[best.indices], latent[best.indices]).amin()
        return as_integers(sure.to(upper.dtype)).clamp(min=1)

    def entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """As Shortlist's."""
        x, W, _ = self.bounds.problem
        order = (self.row * len(W) + self.latent).argsort()
        return self.upper[order], self.latent[order], counted_offsets(torch.bincount(self.row, minlength=len(x)))


def _guess(first: int, upper: Tensor) -> tuple[Tensor, Tensor]:
    """One of GUESS_FROM entries, the larger ones: their bounds and latents (B, n // GUESS_FROM)."""
    n = upper.shape[1]
    best = upper[:, : n - n % GUESS_FROM].unflatten(1, (GUESS_FROM, -1)).max(1)
    return best.values, first + best.indices * (n // GUESS_FROM) + torch.arange(n // GUESS_FROM)


def _nonzero(mask: Tensor) -> Tensor:
    """Flat places of what is true, eight at a time: few are."""
    mask = mask.flatten()
    if len(mask) % 8:
        return mask.nonzero().squeeze(1)
    eight = mask.view(torch.int64).nonzero().squeeze(1)
    within = mask.view(-1, 8)[eight].flatten().nonzero().squeeze(1)
    return eight[within // 8] * 8 + within % 8
