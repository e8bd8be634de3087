"""What a study's file does when it is run: `main`, and a file for each thing it can be asked."""
