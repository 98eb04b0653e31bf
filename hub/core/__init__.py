"""Pure decisions: no clock, no I/O, no randomness, no logging. The files stand in the order of the flow."""
