"""Row filters, one file each; found by walking this package, not by a registry."""
