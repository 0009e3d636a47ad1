"""Trunks, the networks of encoders and decoders: tensor -> features. Any Keras layer or model may take their place.

`MADE`, `CausalConv`, `CausalConv1D`, `CausalGRU`, `CausalLSTM` and `CausalTransformer` are no trunks: they see of each
value only the values before it, in autoregressive flows and likelihoods.
"""

from keras_vae.networks.causal import CausalNetwork
from keras_vae.networks.causal_attention import CausalTransformer
from keras_vae.networks.causal_conv import CausalConv
from keras_vae.networks.causal_conv1d import CausalConv1D
from keras_vae.networks.causal_recurrent import CausalGRU, CausalLSTM
from keras_vae.networks.conv import conv_decoder, conv_encoder
from keras_vae.networks.examples import cvae_decoder, cvae_encoder, tfp_decoder, tfp_encoder
from keras_vae.networks.made import MADE
from keras_vae.networks.mlp import mlp
from keras_vae.networks.resnet import resnet_decoder, resnet_encoder
from keras_vae.networks.sequence import sequence_encoder, transformer_encoder
from keras_vae.networks.zeros import Zeros

__all__ = [
    "MADE",
    "CausalConv",
    "CausalConv1D",
    "CausalGRU",
    "CausalLSTM",
    "CausalNetwork",
    "CausalTransformer",
    "Zeros",
    "conv_decoder",
    "conv_encoder",
    "cvae_decoder",
    "cvae_encoder",
    "mlp",
    "resnet_decoder",
    "resnet_encoder",
    "sequence_encoder",
    "tfp_decoder",
    "tfp_encoder",
    "transformer_encoder",
]
