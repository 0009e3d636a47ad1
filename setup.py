"""Packaging of keras_vae."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "keras_vae/__init__.py").read_text(encoding="utf-8"), re.M)[1]

setup(
    name="keras_vae",
    version=VERSION,
    description="Variational autoencoders for Keras 3 and TensorFlow Probability, down to a seeded decoder on a phone",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT AND CC-BY-SA-3.0",
    license_files=["LICENSE", "keras_vae/data/mnist/README.md"],
    python_requires=">=3.11",
    packages=find_packages(include=["keras_vae", "keras_vae.*", "export", "export.*"]),
    py_modules=["train"],
    package_data={"keras_vae.data.mnist": ["*.gz", "README.md"], "export": ["web/*"]},
    install_requires=[
        "absl-py>=2.1",
        "ai-edge-litert>=2.1,<3",
        "flatbuffers>=24",
        "h5py>=3.11",
        "keras>=3.12,<4",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10",
        "tensorboard>=2.20",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.9",
        "tensorflow-probability>=0.25,<0.26",
        "tf-keras>=2.21,<2.22",  # tensorflow-probability fails at its first attribute without it
    ],
    extras_require={
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.7,<10", "mkdocstrings[python]>=1.0,<2", "ruff>=0.8"],
        "eval": ["scikit-learn>=1.5"],
        "onnx": ["onnx>=1.19", "onnxruntime>=1.22", "tf2onnx>=1.17"],
        "int8": ["ai-edge-quantizer>=0.10,<0.11"],
        "peers": ["jax>=0.6", "optax>=0.2.4", "pythae>=0.1.2", "torch>=2.6"],
        "test": [
            "ai-edge-quantizer>=0.10,<0.11",
            "hypothesis>=6.100",
            "onnx>=1.19",
            "onnxruntime>=1.22",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "pyyaml>=6",
            "ruff>=0.8",
            "scikit-learn>=1.5",
            "scipy>=1.13",
            "tf2onnx>=1.17",
        ],
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
