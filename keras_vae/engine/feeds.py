"""What a model is fed from examples in memory: batches, blocks of steps, or the rows of each worker."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_vae.data.examples import Examples
from keras_vae.engine import strategies
from keras_vae.engine.inputs import checked_examples
from keras_vae.engine.keras_compat import adapter_of
from keras_vae.engine.losses_of_calls import adds_losses, check_no_padding, without_padding
from keras_vae.engine.stream_blocks import in_blocks
from keras_vae.engine.streams import check_end, check_first_batch, checked_stream, is_stream, one_error
from keras_vae.utils.arguments import is_text


def make_feed(
    model: keras.Model,
    examples: Examples,
    batch_size: int,
    size: int,
    shuffle: bool,
    initial_epoch: int | Callable[[], int] = 0,
) -> tuple[Any, int]:
    """Returns a data set of batches, or of blocks of `size` steps, without an end, and its steps an epoch."""
    steps, seed = -(-len(examples) // batch_size), model.seed % 2**32
    lengths = model.lengths_of(examples) if shuffle else None
    if model.under_strategy:
        if adds_losses(model):
            check_no_padding(len(examples), batch_size, model.distribute_strategy.num_replicas_in_sync)

        def of_worker(context):
            rows, size = strategies.rows_of(context, batch_size)
            batches = examples.batches(batch_size, shuffle, seed, initial_epoch, rows, lengths)
            batches = batches.rebatch(size, drop_remainder=True).prefetch(2)
            # Workers ask one another before each step whether there is a next batch, unless the data set is known
            # to be endless.
            return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

        return model.distribute_strategy.distribute_datasets_from_function(of_worker), steps
    if size == 1:
        batches = examples.batches(batch_size, shuffle, seed, initial_epoch, lengths=lengths)
        return without_padding(batches, len(examples), batch_size) if adds_losses(model) else batches, steps
    return examples.blocks(batch_size, size, shuffle, seed, initial_epoch, lengths), steps


@one_error
def make_validation_feed(
    model: keras.Model, data: Any, batch_size: int, size: int, steps: int | None
) -> tuple[Any, int | None]:
    """Returns what `fit` evaluates on, checked, and its number of steps, None if it ends by itself.

    Raises:
      ValueError: if the data do not fit the model; the text begins with the name of the argument.
    """
    # A list of texts is x, as neither labels nor weights are strings.
    parts = data if isinstance(data, tuple | list) and not is_text(data) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(
            "`validation_data` must be x, (x, y) or (x, y, sample_weight). "
            f"Received: a {type(data).__name__} of {len(parts)}"
        )
    prefix = "`validation_data` must fit the model: "
    try:
        if is_stream(parts[0]):
            check_first_batch(model, parts[0], prefix)
            y, weight = (*parts[1:], None, None)[:2]
            stream = checked_stream(model, parts[0], y, weight, prefix=prefix)
            check_end("validation_steps", stream, steps)
            return in_blocks(adapter_of(stream), size, model.condition_dim is not None), steps
        data = checked_examples(model, *parts)
    except ValueError as error:
        raise ValueError(error if prefix in str(error) else f"{prefix}{error}") from error
    batches, all_steps = make_feed(model, data, min(batch_size, len(data)), size, shuffle=False)
    return batches, steps or all_steps
