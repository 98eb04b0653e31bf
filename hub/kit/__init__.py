"""What connectors may use: composed, never inherited. No network, no clock, no settings."""
