"""Bytes and pixels: which samples exist, in which order they come, and how they become arrays."""
