"""Rendered datasets of the demo: scenes in COCO's format, tasks in MMIU's."""
