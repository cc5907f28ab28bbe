"""What is proven of the wing: `python -m pytest transfer/tests`."""
