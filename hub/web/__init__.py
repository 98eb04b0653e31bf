"""Thin: console pages, JSON API, webhook receiver. Everything here calls hub.app and nothing else."""
