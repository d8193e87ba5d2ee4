"""Segment Anything: image encoders, LoRA, prompt encoder and mask decoder, checkpoints."""
