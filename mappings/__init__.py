"""The shipped declarations: canonical.yaml, one mapping per connector, rewards.yaml and the template of hub.yaml."""
