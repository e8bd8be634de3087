"""Bytes to pictures: one decoder a file."""
