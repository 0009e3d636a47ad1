"""Runs an exported decoder in tflite-runtime: `python old_phone.py DECODER INPUTS.npz OUTPUTS.npz [ENCODER]`.

It runs in its own environment, which has neither TensorFlow nor this package. INPUTS holds `seeds`, `codes`, and for a
conditional model `sample_condition` and `decode_condition`, one for each call. With a model of texts, `mean` and
`decoded` are the tokens that `generate` and `decode` return, and the encoder encodes the `tokens` of INPUTS.
"""

import sys


def main(decoder, inputs, outputs, encoder=None):
    import numpy as np
    from tflite_runtime.interpreter import Interpreter

    given = np.load(inputs)
    interpreter = Interpreter(decoder)
    has_texts = "generate" in interpreter.get_signature_list()
    shown, at = ("tokens", {"token_temperature": np.float32(1.0)}) if has_texts else ("mean", {})
    sample, decode = (interpreter.get_signature_runner(n) for n in ("generate" if has_texts else "sample", "decode"))

    def condition(name, index):
        return {"condition": given[name][index]} if name in given else {}

    drawn = [
        sample(seed=np.int32(seed), temperature=np.float32(1.0), **at, **condition("sample_condition", index))
        for index, seed in enumerate(given["seeds"])
    ]
    decoded = [decode(z=z[None], **condition("decode_condition", index)) for index, z in enumerate(given["codes"])]
    arrays = {
        "mean": np.stack([values[shown] for values in drawn]),
        "z": np.stack([values["z"] for values in drawn]),
        "decoded": np.concatenate([values[shown] for values in decoded]),
    }
    if encoder:
        encode = Interpreter(encoder).get_signature_runner("encode")
        arrays["encoded"] = np.concatenate([encode(tokens=row[None])["loc"] for row in given["tokens"]])
    np.savez(outputs, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
