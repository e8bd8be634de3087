"""The question: studies, their factors, levels, cells and claims, and the trials."""
