"""Sugar for single frameworks, one file each. Siblings: none imports another."""
