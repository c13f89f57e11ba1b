"""What the field operator has in hand: settings, doctor, live screen, service."""
