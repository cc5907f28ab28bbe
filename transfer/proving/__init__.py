"""What `transfer.prove` puts to the stacks (`texts`), and how each stack is made to score it (`machinery`)."""
