"""Packaging of keras_vae: all that it says stands in pyproject.toml."""

from setuptools import setup

setup()
