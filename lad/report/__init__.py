"""Figures, tables and the report page: the last stage, drawn from a results folder through `lad.catalog`.

Each artifact is a module of `lad.report.artifacts`. It says once what it needs, and three users ask it: the check of a
configuration before anything runs, the workflow for the files that its drawing waits for, and the drawing itself.
"""
