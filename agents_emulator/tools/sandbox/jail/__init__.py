"""What runs inside the jail; it imports nothing from outside this folder."""
