"""What the experiments on π0 are built from: imported, never typed."""
