"""Asking a results folder with SQL: single queries, ready ones, a prompt, and a database for other programs."""
