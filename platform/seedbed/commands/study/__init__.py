"""The command line of a study's file: `main`, and one file for each thing that it can do."""
