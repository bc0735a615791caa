"""The method of arXiv:2505.03118, trained end to end in torch.

``threshold_layer`` holds θ, ``losses`` the loss, ``network`` and ``training`` the network and its training,
``classifier`` all of it as one scikit-learn classifier, without label leakage. ``as_released`` rebuilds the
published code, leak and all, for the audit only.
"""
