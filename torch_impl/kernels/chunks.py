"""How much of a large matrix is in the air at once: chosen from its width and the machine, not by the user."""

PIECE = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}            # bytes of a float32 chunk
ROWS = 512                                                  # the product loses speed below so many ...
MOST = 4                                                    # ... which may cost so many pieces
BLOCK = {"cpu": 2**20, "cuda": 2**26}       # numbers: in a CPU's cache, but few, or threads wait for each other


def rows_at_once(B, M, device):
    """Rows of a (B, M) matrix to compute at once: equal parts of about a piece each, at least 1."""
    piece = PIECE.get(device.type, PIECE["cuda"]) // 4      # in numbers
    most = max(1, piece // M, min(ROWS, MOST * piece // M))
    parts = max(1, -(-B // most))
    return max(1, -(-B // parts))


def blocks(rows, width, device):
    """Slices that cover range(rows), for passes over a (rows, width) matrix that leave nothing behind."""
    size = max(1, BLOCK.get(device.type, BLOCK["cuda"]) // width)
    return [slice(start, start + size) for start in range(0, rows, size)]
