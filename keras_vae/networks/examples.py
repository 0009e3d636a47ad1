"""The convolutional trunks of two well-known examples, layer for layer."""

import keras

from keras_vae.networks.gated import Activation, layers
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveInt, Shape, checked

# Pictures are (height, width, channels) in this package, even if keras.json says otherwise.
_LAST = {"data_format": "channels_last"}


@checked
def tfp_encoder(
    event_shape: Shape,
    depth: PositiveInt = 32,
    units: PositiveInt = 64,
    activation: Activation = "leaky_relu",
    name: str | None = None,
) -> keras.Sequential:
    """Returns the encoder of TensorFlow Probability's "Probabilistic_Layers_VAE", without its last layer.

    It has four 5x5 convolutions with strides 1, 2, 1, 2, then one with a kernel as large as its input.

    Args:
      event_shape: (height, width, channels) of the image, height and width divisible by 4.
      depth: channels of the first two convolutions; the next two have twice as many.
      units: channels of the last convolution, whose output is one pixel high and wide.
      activation: anything Keras's layers accept; "glu" makes gated layers.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, height, width, channels) -> (batch, 1, 1, units).

    Raises:
      ValueError: if height or width is not divisible by 4.
    """
    start = _quarter(event_shape)
    depth, units = int(depth), int(units)
    result = []
    for filters, strides in ((depth, 1), (depth, 2), (2 * depth, 1), (2 * depth, 2)):
        result += layers(
            keras.layers.Conv2D, filters, activation, kernel_size=5, strides=strides, padding="same", **_LAST
        )
    result += layers(keras.layers.Conv2D, units, activation, kernel_size=start, **_LAST)
    return keras.Sequential(result, name=name)


@checked
def tfp_decoder(
    event_shape: Shape, depth: PositiveInt = 32, activation: Activation = "leaky_relu", name: str | None = None
) -> keras.Sequential:
    """Returns the decoder of the same example, without its last layer, a 5x5 convolution.

    It has a transposed convolution from a single pixel, then five of 5x5 with strides 1, 2, 1, 2, 1.

    Args:
      event_shape: (height, width, channels) of the image, height and width divisible by 4.
      depth: channels of the last three transposed convolutions; those before have twice as many.
      activation: anything Keras's layers accept; "glu" makes gated layers.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, latent_dim) -> (batch, height, width, depth).

    Raises:
      ValueError: if height or width is not divisible by 4.
    """
    start = _quarter(event_shape)
    depth, make = int(depth), keras.layers.Conv2DTranspose
    result = [keras.layers.Reshape((1, 1, -1)), *layers(make, 2 * depth, activation, kernel_size=start, **_LAST)]
    for filters, strides in ((2 * depth, 1), (2 * depth, 2), (depth, 1), (depth, 2), (depth, 1)):
        result += layers(make, filters, activation, kernel_size=5, strides=strides, padding="same", **_LAST)
    return keras.Sequential(result, name=name)


@checked
def cvae_encoder(activation: Activation = "relu", name: str | None = None) -> keras.Sequential:
    """Returns the encoder of TensorFlow's CVAE tutorial, without its last layer.

    It has two 3x3 convolutions of 32 and 64 channels with stride 2 and no padding.

    Args:
      activation: anything Keras's layers accept; "glu" makes gated layers.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, height, width, channels) -> (batch, features); images of 7 x 7 pixels or more.
    """
    result = []
    for filters in (32, 64):
        result += layers(keras.layers.Conv2D, filters, activation, kernel_size=3, strides=2, **_LAST)
    return keras.Sequential([*result, keras.layers.Flatten(data_format="channels_last")], name=name)


@checked
def cvae_decoder(event_shape: Shape, activation: Activation = "relu", name: str | None = None) -> keras.Sequential:
    """Returns the decoder of the same tutorial, without its last layer, a 3x3 convolution.

    It has a dense layer, then two 3x3 transposed convolutions of 64 and 32 channels with stride 2.

    Args:
      event_shape: (height, width, channels) of the image, height and width divisible by 4.
      activation: anything Keras's layers accept; "glu" makes gated layers.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, latent_dim) -> (batch, height, width, 32).

    Raises:
      ValueError: if height or width is not divisible by 4.
    """
    height, width = _quarter(event_shape)
    result = layers(keras.layers.Dense, height * width * 32, activation)
    result.append(keras.layers.Reshape((height, width, 32)))
    for filters in (64, 32):
        result += layers(
            keras.layers.Conv2DTranspose, filters, activation, kernel_size=3, strides=2, padding="same", **_LAST
        )
    return keras.Sequential(result, name=name)


def _quarter(event_shape):
    height, width = checks.image_shape("event_shape", event_shape)[:2]
    if height % 4 or width % 4:
        raise ValueError(
            f"`event_shape` must have a height and a width divisible by 4 for this network. Received: {event_shape}"
        )
    return height // 4, width // 4
