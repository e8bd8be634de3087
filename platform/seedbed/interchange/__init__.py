"""Trained models, out of a results folder and into one: weights as safetensors and plain values."""
