"""Figures, tables and the report page: the last stage, drawn from a results folder through `lad.catalog`.

`artifacts` lists what there is and draws one of them by name; each lies in a file of its own, its query beside it.
"""
