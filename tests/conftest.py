"""Being here puts this folder on the import path of every test: `from signals_factory import random_signals`."""
