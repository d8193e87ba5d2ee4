"""Networks only: no files, no training, nothing but tensors in and out.

``interface`` says what every network offers (Network, Segmenter, SlicePrediction). ``sam_mix`` is the paper's figure:
``classifiers`` (and ``resnet38``) make a class and a map, ``prompts`` makes a box and a mask prompt of the map, ``sam``
answers with masks. ``sam_pp`` is its two-stage form, ``baselines`` what it is compared with. ``losses`` and
``objectives`` say what training minimises; ``counts`` how large the networks are, ``processes``
whether several train together.
"""
