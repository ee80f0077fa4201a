"""The explorer: one page to look for the questions where a method failed, and to see each in all its orders.

The page is one file that needs no server and no network. It shows what the results folder says of the split evaluation
and computes nothing that the pipeline has not: probabilities, answers and attention, in compact form (`packed`), with
thumbnails of the pictures that may be shown (`thumbnails`). What it does in the browser stands in `script/`.
"""
