"""What must hold in every story; each file one law. The simulator asks them, and names the one that was broken."""
