"""Times matrix products alone, which bound the speed of training and evaluation.

Each class is a contestant for `worker.py`, and the fastest of the three libraries gives the bound.
"""

import time

import numpy as np

SIZES = (1024, 1536, 2048)


def squares() -> dict:
    """Returns the jobs of square matrices, name -> list of products (see `Products.block`)."""
    return {f"square {size}": [[size, size, size, False, False]] for size in SIZES}


def training_step(workload) -> list:
    """Returns the products of one training step of a dense workload.

    They are those of the forward pass, of the gradient of each kernel, and of the gradient of each layer's input except
    the first one's, which no step needs.
    """
    products, batch_size = [], workload.batch_size
    for number, layer in enumerate(workload.layers()):
        inputs, outputs = layer["shape"]
        products.append([batch_size, inputs, outputs, False, False])
        products.append([inputs, batch_size, outputs, True, False])
        if number:
            products.append([batch_size, outputs, inputs, False, True])
    return products


def decoding(workload, rows: int) -> list:
    """Returns the products of decoding `rows` codes of a dense workload."""
    decoder = workload.layers()[workload.num_encoder_layers :]
    return [[rows, *layer["shape"], False, False] for layer in decoder]


class Products:
    """Times float32 matrix products in one library.

    A subclass implements `array(NumPy array)`, `product(a, b, first, second)`, and `compiled(function)` if the library
    is faster with a compiled list of products. A call of a compiled function must return when all are done.

    Args:
      cores: number of threads.
    """

    packages: tuple[str, ...] = ()

    def __init__(self, cores: int):
        self._random = np.random.default_rng(0)
        self._functions = {}
        self.set_cores(cores)

    def set_cores(self, cores: int) -> None:
        """Sets the number of threads; a library that takes all cores by default need not implement it."""

    def compiled(self, function):
        """Returns the function without arguments in the fastest form that the library has."""
        return function

    def block(self, jobs: dict, seconds: float) -> dict:
        """Returns the best seconds of each job, name -> list of products, measured for about `seconds` each.

        A product is [rows, inner, columns, whether the first matrix is stored transposed, whether the second is].
        """
        best = {}
        for name, products in jobs.items():
            if name not in self._functions:
                self._functions[name] = self._prepare(products)
            best[name] = _best(self._functions[name], seconds)
        return {"best": best}

    def _prepare(self, products):
        operands = []
        for rows, inner, columns, first, second in products:
            a = self._random.normal(size=(inner, rows) if first else (rows, inner))
            b = self._random.normal(size=(columns, inner) if second else (inner, columns))
            operands.append((self.array(a.astype(np.float32)), self.array(b.astype(np.float32)), first, second))
        return self.compiled(lambda: [self.product(*pair) for pair in operands])


def _best(function, seconds):
    times = []
    function()
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


class NumPyProducts(Products):
    """NumPy with the BLAS library that it comes with."""

    packages = ("numpy",)

    def array(self, value):
        """Returns the array itself."""
        return value

    def product(self, a, b, first, second):
        """Returns the product."""
        return (a.T if first else a) @ (b.T if second else b)


class TensorFlowProducts(Products):
    """TensorFlow's kernels, with a list of products as one graph."""

    packages = ("tensorflow", "numpy")

    def set_cores(self, cores):
        """Imports TensorFlow, which takes all cores."""
        import tensorflow

        self._tf = tensorflow

    def array(self, value):
        """Returns a variable, because products of constants would be computed only once."""
        return self._tf.Variable(value)

    def product(self, a, b, first, second):
        """Returns the product."""
        return self._tf.matmul(a, b, transpose_a=first, transpose_b=second)

    def compiled(self, function):
        """Returns the graph."""
        return self._tf.function(function, autograph=False)


class TorchProducts(Products):
    """PyTorch's kernels."""

    packages = ("torch", "numpy")

    def set_cores(self, cores):
        """Sets the number of threads."""
        import torch

        torch.set_num_threads(cores)
        self._torch = torch

    def array(self, value):
        """Returns a tensor."""
        return self._torch.from_numpy(value)

    def product(self, a, b, first, second):
        """Returns the product."""
        return (a.T if first else a) @ (b.T if second else b)
