"""Parameters: towers, supervision terms, and the model that a recipe's demands assemble."""
