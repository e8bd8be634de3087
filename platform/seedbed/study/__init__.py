"""What is asked: recipes, factors, studies, and the trials and cohorts that they plan."""
