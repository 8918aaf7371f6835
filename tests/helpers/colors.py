"""Differences of colors, as people with normal vision and color-blind people see them."""

import numpy as np

DEUTERANOPIA = np.array(  # Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(rgb):
    rgb = np.asarray(rgb)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def cielab(linear_rgb):
    """Convert to CIE 1976 L*a*b*, a color space that the package does not use."""
    xyz = np.clip(linear_rgb, 0, 1) @ RGB_TO_XYZ.T / RGB_TO_XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def difference(one, other):
    """Return the CIE 1976 differences of sRGB colors (m, 3), by the vision that tells them apart least."""
    visions = (np.eye(3), PROTANOPIA, DEUTERANOPIA)
    return np.min(
        [np.linalg.norm(cielab(linear(one) @ v.T) - cielab(linear(other) @ v.T), axis=-1) for v in visions], 0
    )
