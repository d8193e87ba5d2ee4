"""Networks only: no files, no training, nothing but tensors in and out."""
