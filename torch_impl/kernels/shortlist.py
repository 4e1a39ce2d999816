"""Of each sample the latents that can still be among its k largest, while blocks of latents go by."""

import torch
import torch.nn.functional as F

ROOM = 10                       # slots a row, in k
HOLD = 4                        # a list is shortened when its rows hold so many, in k, on average
SPLIT = 8                       # of so many latents a first guess looks at one
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def bits(numbers):
    """numbers as integers in the same order, as far as they are above 0: bfloat16 compares slowly."""
    return numbers.view(BITS[numbers.element_size()])


class Shortlist:
    """Rows of candidates: an upper bound of each and its latent, latents ascending, unused slots 0.

    A candidate's bound is at least `least`: there are k entries in its row that surely are no smaller, and it
    is above 0.
    """

    def __init__(self, source, B, k):
        """source  what gives the bounds: screen.Exact or screen.Screened"""
        self.source, self.k, room = source, k, ROOM * k
        self.upper = torch.zeros(B, room, dtype=source.dtype)
        self.latent = torch.zeros(B, room, dtype=torch.int64)
        self.count = torch.zeros(B, dtype=torch.int64)
        self.lost = torch.zeros(B, dtype=torch.bool)        # rows that had more candidates than room
        self.least = None                                   # (B, 1), as bits

    def take(self, first, upper):
        """Keep the candidates among latents first, first + 1, .. with bounds upper (B, n); False: there are too many."""
        (B, n), room = upper.shape, self.upper.shape[1]
        if self.least is None:
            self.least = self._least(*sample(first, upper))
        place = _nonzero(bits(upper) >= self.least)
        if len(place) > B * room:
            return False
        row = place // n
        self._add(row, place - row * n + first, upper.flatten()[place])
        if self.count.sum() > HOLD * self.k * B:
            self.shorten()
        return True

    def shorten(self):
        """Drop those that can no longer be among the k largest."""
        width = int(self.count.max().clamp(self.k, self.upper.shape[1]))
        upper, latent = self.upper[:, :width], self.latent[:, :width]
        self.least = self._least(upper, latent)
        on = bits(upper) >= self.least
        left = on.nonzero()[:, 0], latent[on], upper[on]
        upper.zero_()
        self.count.zero_()
        self._add(*left)

    def _add(self, row, latent, upper):
        """Append entries, given row by row."""
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

    def _least(self, upper, latent):
        """What a candidate needs: any k entries are no smaller than the least of their lower bounds."""
        best = upper.topk(self.k, sorted=False)
        rows = torch.arange(len(upper)).unsqueeze(1)
        sure = self.source.lower(best.values, rows, latent.gather(1, best.indices)).amin(1, keepdim=True)
        return bits(sure.to(upper.dtype)).clamp(min=1)      # above 0, hence no unused slot

    def entries(self):
        """Bounds and latents (nnz,), and offsets (B + 1,)."""
        used = torch.arange(self.upper.shape[1]) < self.count.unsqueeze(1)
        return self.upper[used], self.latent[used], F.pad(self.count.cumsum(0), (1, 0))


class BatchShortlist:
    """As Shortlist, for the budget largest of all rows together: flat, in no order."""

    def __init__(self, source, budget):
        self.source, self.budget, self.least = source, budget, None
        self.row, self.latent = torch.zeros(2, 0, dtype=torch.int64)
        self.upper = torch.zeros(0, dtype=source.dtype)

    def take(self, first, upper):
        """As Shortlist's."""
        B, n = upper.shape
        if self.least is None:
            guess, latent = sample(first, upper)
            self.least = self._least(guess.flatten(), torch.arange(B).repeat_interleave(latent.shape[1]), latent.flatten())
        place = _nonzero(bits(upper) >= self.least)
        if len(place) + len(self.row) > ROOM * self.budget:
            return False
        row = place // n
        new = upper.flatten()[place], row, place - row * n + first
        self.upper, self.row, self.latent = map(torch.cat, zip((self.upper, self.row, self.latent), new))
        if len(self.row) > HOLD * self.budget:
            self.shorten()
        return True

    def shorten(self):
        """As Shortlist's."""
        if len(self.row) >= self.budget:
            self.least = self._least(self.upper, self.row, self.latent)
        on = bits(self.upper) >= self.least
        self.upper, self.row, self.latent = self.upper[on], self.row[on], self.latent[on]

    def _least(self, upper, row, latent):
        best = upper.topk(self.budget, sorted=False)
        sure = self.source.lower(best.values, row[best.indices], latent[best.indices]).amin()
        return bits(sure.to(upper.dtype)).clamp(min=1)

    def entries(self):
        """As Shortlist's."""
        B = len(self.source.problem[0])
        order = (self.row * len(self.source.problem[1]) + self.latent).argsort()
        counts = torch.bincount(self.row, minlength=B)
        return self.upper[order], self.latent[order], F.pad(counts.cumsum(0), (1, 0))


def sample(first, upper):
    """One of SPLIT entries, the larger ones: their bounds and latents (B, n // SPLIT)."""
    n = upper.shape[1]
    best = upper[:, : n - n % SPLIT].unflatten(1, (SPLIT, -1)).max(1)
    return best.values, first + best.indices * (n // SPLIT) + torch.arange(n // SPLIT)


def _nonzero(on):
    """Flat places of what is true, eight at a time: few are."""
    on = on.flatten()
    if len(on) % 8:
        return on.nonzero().squeeze(1)
    eight = on.view(torch.int64).nonzero().squeeze(1)
    within = on.view(-1, 8)[eight].flatten().nonzero().squeeze(1)
    return eight[within // 8] * 8 + within % 8
