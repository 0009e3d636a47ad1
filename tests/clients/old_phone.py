"""Runs an exported decoder in tflite-runtime: `python old_phone.py DECODER INPUTS.npz OUTPUTS.npz`.

Runs in its own environment, which has neither TensorFlow nor this package. INPUTS holds `seeds`, `codes`, and for a
conditional model `sample_condition` and `decode_condition`, one for each call.
"""

import sys


def main(decoder, inputs, outputs):
    import numpy as np
    from tflite_runtime.interpreter import Interpreter

    given = np.load(inputs)
    interpreter = Interpreter(decoder)
    sample, decode = (interpreter.get_signature_runner(name) for name in ("sample", "decode"))

    def condition(name, index):
        return {"condition": given[name][index]} if name in given else {}

    drawn = [
        sample(seed=np.int32(seed), temperature=np.float32(1.0), **condition("sample_condition", index))
        for index, seed in enumerate(given["seeds"])
    ]
    decoded = [decode(z=z[None], **condition("decode_condition", index)) for index, z in enumerate(given["codes"])]
    np.savez(
        outputs,
        mean=np.stack([values["mean"] for values in drawn]),
        z=np.stack([values["z"] for values in drawn]),
        decoded=np.concatenate([values["mean"] for values in decoded]),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
