"""What a hostile or unlucky world does to the course: each test makes one damage, and says what must come of it."""
