"""What the code costs, measured: one module per command, `python -m benchmarks.<module>`."""
