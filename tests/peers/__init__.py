"""Real modems and stacks at the other end, without hardware: audio goes through numpy, not the air."""
