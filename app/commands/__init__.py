"""The verbs of the command, a file a group; each function imports what it needs when it runs."""
