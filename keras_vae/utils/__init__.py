"""Helpers that every other room may import: argument checks, files, the console and signals. None knows of a model."""
