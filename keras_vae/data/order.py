"""The order in which an epoch presents its examples."""

import numpy as np

# Examples of about one length are looked for among this many batches.
BATCHES_IN_A_WINDOW = 64


def epoch_order(
    count: int, shuffle: bool, seed: int, epoch: int, batch_size: int, lengths: np.ndarray | None = None
) -> np.ndarray:
    """Returns the order of an epoch, a permutation of `range(count)` that is a function of (seed, epoch) alone.

    Args:
      count: number of examples.
      shuffle: whether each epoch has an order of its own.
      seed: integer of at least 0.
      epoch: number of the epoch.
      batch_size: examples in a batch.
      lengths: length of each example `(count,)`, by which a shuffled epoch makes batches of about one length; within
        windows of 64 batches examples are sorted by it, and then the batches are shuffled. None: any examples may meet.
    """
    order = np.arange(count)
    if not shuffle:
        return order
    random = np.random.default_rng((seed, epoch))
    random.shuffle(order)
    if lengths is None:
        return order
    window = BATCHES_IN_A_WINDOW * batch_size
    for start in range(0, count, window):
        here = order[start : start + window]
        order[start : start + window] = here[np.argsort(lengths[here], kind="stable")]
    # The last batch stays the last, because it may be smaller than the others.
    whole = (count - 1) // batch_size
    first, last = np.split(order, [whole * batch_size])
    batches = first.reshape(whole, batch_size)[random.permutation(whole)]
    return np.concatenate([batches.ravel(), last])
