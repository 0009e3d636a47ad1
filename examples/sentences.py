"""Trains on a list of strings and draws sentences: `python examples/sentences.py --texts=40000 --epochs=5`."""

import argparse

import keras

import keras_vae as kv

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--texts", type=int, default=4_000, help="training sentences, of 41,813")
parser.add_argument("--epochs", type=int, default=4)
arguments = parser.parse_args()

data = kv.data.load_texts("sentences", tokens="words")
texts = data.tokenizer.decode(data.train.values[: arguments.texts])  # any list of strings will do

keras.utils.set_random_seed(0)
tokenizer = kv.data.Tokenizer.of(texts, tokens="words", max_length=12, max_vocabulary=2000)
words = kv.likelihoods.Autoregressive(
    kv.likelihoods.Tokens(tokenizer=tokenizer), kv.networks.CausalGRU(tokenizer.size, units=64, embedding_dim=32)
)
vae = kv.VAE(
    kv.Encoder(kv.networks.sequence_encoder(tokenizer.size, 32, 32), kv.posteriors.DiagonalGaussian(latent_dim=8)),
    kv.Decoder(kv.networks.mlp([64]), words),
    objective=kv.objectives.FreeBits(0.5),
)
vae.compile(keras.optimizers.Adam(1e-2))
vae.fit(texts, batch_size=64, epochs=arguments.epochs, verbose=2)
print(*vae.generate(5, seed=7, top_p=0.9), sep="\n")

first, second = texts[:2]
print(f"\nfrom {first!r} to {second!r}:")
print(*kv.latent.interpolate_between(vae, first, second, 5), sep="\n")
