"""A small guest book that knows which commit it was built from.

The package imports nothing at its root, so that :mod:`myapplication.probe`, which the container runs every few
seconds, does not pay for loading Flask.
"""
