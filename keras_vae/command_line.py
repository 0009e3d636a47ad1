"""What the package's own commands have in common."""

import argparse


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line and exit code 2."""

    def error(self, message):
        self.exit(2, f"error: {message}\n")
