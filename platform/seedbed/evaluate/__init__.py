"""Evaluation of trained models, example by example."""
