"""The model of `benchmarks.texts` in PyTorch, with packed sequences and padded batches, as public code has them.

It runs under a Python with PyTorch, and imports nothing of keras_vae:

    python benchmarks/texts/torch_vae.py tokens.npz settings.json result.json
"""

import json
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence


class SentenceVAE(nn.Module):
    """A bidirectional GRU as encoder, z, and a GRU as decoder, which sees z in its first state and at every step."""

    def __init__(self, vocabulary, units, embedding_dim, latent_dim):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        self.encoder = nn.GRU(embedding_dim, units // 2, batch_first=True, bidirectional=True)
        self.posterior = nn.Linear(units, 2 * latent_dim)
        self.features = nn.Linear(latent_dim, units)
        self.start = nn.Linear(units, units)
        self.words = nn.Embedding(vocabulary + 1, embedding_dim)  # the last row stands before the first word
        self.decoder = nn.GRU(embedding_dim + units, units, batch_first=True)
        self.logits = nn.Linear(units, vocabulary)
        self.vocabulary = vocabulary

    def forward(self, x, lengths):
        """Returns log p(x|z) at one z, and KL(q(z|x) || p(z)), both `(batch,)`."""
        packed = pack_padded_sequence(self.embedding(x), lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        _, hidden = self.encoder(packed)
        loc, raw = self.posterior(torch.cat([hidden[0], hidden[1]], dim=-1)).chunk(2, dim=-1)
        scale = F.softplus(raw) + 1e-4
        z = loc + scale * torch.randn_like(scale)
        kl = (0.5 * (scale**2 + loc**2 - 1) - torch.log(scale)).sum(-1)
        features = F.gelu(self.features(z))
        first = torch.full_like(x[:, :1], self.vocabulary)
        seen = self.words(torch.cat([first, x[:, :-1]], dim=1))
        repeated = features[:, None].expand(-1, x.shape[1], -1)
        outputs, _ = self.decoder(torch.cat([seen, repeated], dim=-1), torch.tanh(self.start(features))[None])
        losses = F.cross_entropy(self.logits(outputs).flatten(0, 1), x.flatten(), reduction="none").view_as(x)
        ends = torch.minimum(lengths + 1, torch.tensor(x.shape[1]))
        counted = torch.arange(x.shape[1])[None] < ends[:, None]
        return -(losses * counted).sum(-1), kl


def batch_of(rows, lengths, index):
    """Returns a batch of texts, cut after the end of the longest one."""
    lengths = lengths[index]
    return rows[index][:, : min(int(lengths.max()) + 1, rows.shape[1])], lengths


def main(tokens, settings, result):
    """Trains the model, measures it, and writes the result."""
    settings = json.loads(pathlib.Path(settings).read_text())
    torch.manual_seed(0)
    torch.set_num_threads(settings["threads"])
    parts = {name: torch.tensor(rows, dtype=torch.int64) for name, rows in np.load(tokens).items()}
    lengths = {name: (rows != 0).sum(1) for name, rows in parts.items()}
    model = SentenceVAE(*(settings[name] for name in ("vocabulary", "units", "embedding_dim", "latent_dim")))
    optimizer = torch.optim.Adam(model.parameters(), settings["learning_rate"])
    size, step, seconds = settings["batch_size"], 0, []
    for _ in range(settings["epochs"]):
        begin = time.perf_counter()
        for index in torch.randperm(len(parts["train"])).split(size):
            if len(index) < size:
                continue
            log_likelihood, kl = model(*batch_of(parts["train"], lengths["train"], index))
            weight = min(1.0, step / settings["kl_warmup_steps"])
            loss = -(log_likelihood - weight * kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        seconds.append(time.perf_counter() - begin)
    model.eval()
    with torch.no_grad():
        parts_of = torch.arange(len(parts["test"])).split(size)
        measured = [model(*batch_of(parts["test"], lengths["test"], index)) for index in parts_of]
    log_likelihood, kl = (torch.cat(values).mean().item() for values in zip(*measured, strict=True))
    written = {
        "test_elbo": log_likelihood - kl,
        "kl": kl,
        "seconds": seconds,
        "steps": step,
        "torch": torch.__version__,
    }
    pathlib.Path(result).write_text(json.dumps(written))


if __name__ == "__main__":
    main(*sys.argv[1:])
