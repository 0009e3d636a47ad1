"""The convolutional networks of two well-known examples, trunk for trunk."""

from collections.abc import Sequence

import keras

from keras_vae import checks


def tfp_encoder(
    event_shape: Sequence[int], depth: int = 32, units: int = 64, activation="leaky_relu", name: str | None = None
) -> keras.Sequential:
    """Returns the encoder of TensorFlow Probability's "Probabilistic_Layers_VAE", without its last layer.

    Four 5x5 convolutions with strides 1, 2, 1, 2, then one as large as its input.

    Args:
      event_shape: (height, width, channels) of the image, height and width divisible by 4.
      depth: channels of the first two convolutions; the next two have twice as many.
      units: channels of the last convolution, whose maps are of one pixel.
      activation: anything `keras.layers.Conv2D` accepts.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, height, width, channels) -> (batch, 1, 1, units).

    Raises:
      ValueError: if height or width is not divisible by 4.
    """
    start = _quarter(event_shape)
    options = {"kernel_size": 5, "padding": "same", "activation": activation}
    depth, units = checks.positive_int("depth", depth), checks.positive_int("units", units)
    return keras.Sequential(
        [
            *(
                keras.layers.Conv2D(filters, strides=strides, **options)
                for filters, strides in ((depth, 1), (depth, 2), (2 * depth, 1), (2 * depth, 2))
            ),
            keras.layers.Conv2D(units, start, activation=activation),
        ],
        name=name,
    )


def tfp_decoder(
    event_shape: Sequence[int], depth: int = 32, activation="leaky_relu", name: str | None = None
) -> keras.Sequential:
    """Returns the decoder of the same example, without its last layer, a 5x5 convolution.

    A transposed convolution from one pixel, then five of 5x5 with strides 1, 2, 1, 2, 1.

    Args:
      event_shape: (height, width, channels) of the image, height and width divisible by 4.
      depth: channels of the last three transposed convolutions; those before have twice as many.
      activation: anything `keras.layers.Conv2DTranspose` accepts.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, latent_dim) -> (batch, height, width, depth).

    Raises:
      ValueError: if height or width is not divisible by 4.
    """
    start = _quarter(event_shape)
    options = {"kernel_size": 5, "padding": "same", "activation": activation}
    depth = checks.positive_int("depth", depth)
    return keras.Sequential(
        [
            keras.layers.Reshape((1, 1, -1)),
            keras.layers.Conv2DTranspose(2 * depth, start, activation=activation),
            *(
                keras.layers.Conv2DTranspose(filters, strides=strides, **options)
                for filters, strides in ((2 * depth, 1), (2 * depth, 2), (depth, 1), (depth, 2), (depth, 1))
            ),
        ],
        name=name,
    )


def cvae_encoder(activation="relu", name: str | None = None) -> keras.Sequential:
    """Returns the encoder of TensorFlow's CVAE tutorial, without its last layer.

    Two 3x3 convolutions of 32 and 64 channels with stride 2 and no padding.

    Args:
      activation: anything `keras.layers.Conv2D` accepts.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, height, width, channels) -> (batch, features); images of 7 x 7 pixels or more.
    """
    options = {"kernel_size": 3, "strides": 2, "activation": activation}
    return keras.Sequential(
        [keras.layers.Conv2D(32, **options), keras.layers.Conv2D(64, **options), keras.layers.Flatten()], name=name
    )


def cvae_decoder(event_shape: Sequence[int], activation="relu", name: str | None = None) -> keras.Sequential:
    """Returns the decoder of the same tutorial, without its last layer, a 3x3 convolution.

    A dense layer, then two 3x3 transposed convolutions of 64 and 32 channels with stride 2.

    Args:
      event_shape: (height, width, channels) of the image, height and width divisible by 4.
      activation: anything `keras.layers.Conv2DTranspose` accepts.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, latent_dim) -> (batch, height, width, 32).

    Raises:
      ValueError: if height or width is not divisible by 4.
    """
    height, width = _quarter(event_shape)
    options = {"kernel_size": 3, "strides": 2, "padding": "same", "activation": activation}
    return keras.Sequential(
        [
            keras.layers.Dense(height * width * 32, activation=activation),
            keras.layers.Reshape((height, width, 32)),
            keras.layers.Conv2DTranspose(64, **options),
            keras.layers.Conv2DTranspose(32, **options),
        ],
        name=name,
    )


def _quarter(event_shape):
    height, width = checks.image_shape("event_shape", event_shape)[:2]
    if height % 4 or width % 4:
        raise ValueError(
            f"`event_shape` must have a height and a width divisible by 4 for this network. Received: {event_shape}"
        )
    return height // 4, width // 4
