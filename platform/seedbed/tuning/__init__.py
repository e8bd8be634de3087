"""Which values of nuisance fields are tried in which cell, and which are chosen."""
