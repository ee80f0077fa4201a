"""How the demo's checkpoints in `resources/` were trained; nothing else needs it, and the package does not ship it.

The datasets that the demo is measured on are rendered by `lad.demo`.
"""
