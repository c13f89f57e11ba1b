"""What the codecs cost and give, beside their peers: measures, clips, peers and the report."""
