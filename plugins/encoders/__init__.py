"""Encoders: an image side and a text side."""
