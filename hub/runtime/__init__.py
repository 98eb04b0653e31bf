"""The outside world: network, clock, secrets, files, jobs. Everything here is built once and handed in."""
