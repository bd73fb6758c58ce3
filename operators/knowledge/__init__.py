"""What is known before a search begins: sheets of chips, Triton know-how, and proven kernels, found by likeness."""
