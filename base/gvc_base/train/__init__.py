"""`make train`: the generative decoder's network from a folder of photos and clips.

config (TOML, seed) -> scenes (flyovers rendered from photos, cuts of clips) -> coded by real
encoders, decoded -> samples on disk -> training loop with checkpoints and a loss plot
-> weights named by hash, model card
"""
