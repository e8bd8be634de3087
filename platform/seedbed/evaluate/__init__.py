"""What a trained model can do, example by example."""
