"""Made-up texture: of unit strength, moving with the scene, gone where it must not be."""

from __future__ import annotations

import numpy as np

from gvc_base.decoders.gvc_restore import laid_on
from gvc_base.neural.layout import TEXTURE_BANDS
from gvc_base.neural.texture import MovingNoise, lay_over, noise_bands, white_noise

H, W = 96, 128


def test_bands_have_unit_deviation_and_no_mean() -> None:
    bands = noise_bands(np.random.default_rng(1), H, W)
    assert bands.shape == (TEXTURE_BANDS, H, W)
    assert np.allclose(bands.std((1, 2)), 1, atol=1e-3)
    assert np.abs(bands.mean((1, 2))).max() < 0.05


def test_bands_get_coarser() -> None:
    bands = noise_bands(np.random.default_rng(1), 256, 256)
    steps = [float(np.abs(np.diff(band, axis=1)).mean()) for band in bands]
    assert steps[0] > 1.3 * steps[1] > 1.3 * 1.3 * steps[2]


def texture_field(seed: int) -> MovingNoise:
    return MovingNoise(noise_bands, H, W, seed)


def paint(field: MovingNoise, amplitude: float) -> np.ndarray:
    grey = np.full((H, W, 3), 128, np.uint8)
    cells = np.full((TEXTURE_BANDS, H // 4, W // 4), amplitude, np.float32)
    return lay_over(grey, field.planes, cells).astype(np.int16) - 128


def test_no_amplitude_leaves_the_picture_alone() -> None:
    assert not paint(texture_field(1), 0.0).any()


def test_texture_moves_with_the_scene() -> None:
    field = texture_field(1)
    before = paint(field, 0.02)[..., 0]
    flow = np.zeros((H, W, 2), np.float32)
    flow[..., 0] = 5  # each pixel of the new picture lay 5 to the right in the old one
    field.move(flow, np.ones((H, W), np.float32))
    after = paint(field, 0.02)[..., 0]
    follows = np.corrcoef(after[:, :-5].ravel(), before[:, 5:].ravel())[0, 1]
    stays = np.corrcoef(after.ravel(), before.ravel())[0, 1]
    assert follows > 0.9 and abs(stays) < 0.3


def test_strength_does_not_fade_over_many_steps() -> None:
    field = texture_field(1)
    rng = np.random.default_rng(2)
    first = paint(field, 0.03).std()
    for _ in range(60):
        flow = np.full((H, W, 2), rng.uniform(-3, 3), np.float32)
        field.move(flow, np.ones((H, W), np.float32))
    assert 0.8 < paint(field, 0.03).std() / first < 1.25


def test_untrusted_motion_gets_new_noise() -> None:
    field = texture_field(1)
    before = paint(field, 0.02)[..., 0]
    field.move(np.zeros((H, W, 2), np.float32), np.zeros((H, W), np.float32))
    after = paint(field, 0.02)[..., 0]
    assert abs(np.corrcoef(after.ravel(), before.ravel())[0, 1]) < 0.3


def test_the_same_seed_paints_the_same() -> None:
    assert np.array_equal(paint(texture_field(7), 0.02), paint(texture_field(7), 0.02))


def test_white_noise_stays_white_in_motion() -> None:
    field = MovingNoise(white_noise, H, W, 3)
    for _ in range(10):
        field.move(np.full((H, W, 2), 0.7, np.float32), np.ones((H, W), np.float32))
    assert np.abs(field.planes.std((1, 2)) - 1).max() < 0.1
    beside = np.corrcoef(field.planes[0, :, 1:].ravel(), field.planes[0, :, :-1].ravel())[0, 1]
    assert abs(beside) < 0.15


def test_weak_fine_texture_is_held_back_and_strong_texture_is_not() -> None:
    asked = np.zeros((TEXTURE_BANDS, 2, 3), np.float32)
    asked[:2, :, 0] = 0.001
    asked[:2, :, 2] = 0.01
    shown = laid_on(asked)
    assert (shown[0, :, 0] < asked[0, :, 0]).all()
    assert (shown[1, :, 0] > 2 * asked[1, :, 0]).all()
    assert np.allclose(shown[:2, :, 2], 2.25 * asked[:2, :, 2], rtol=0.05)
    assert not shown[:, :, 1].any()
