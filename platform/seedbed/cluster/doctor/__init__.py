"""Examines a cluster from inside: checks, one a file, found by walking `checks/`."""
