"""Encoders, one file each: frozen descriptions that build modules."""
