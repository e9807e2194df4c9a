import numpy as np

from miner.report.outlines import SIDE_PX, draw


def test_outlines_follow_the_mask():
    picture = np.full((120, 160, 3), 200, np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[30:90, 40:100] = True
    drawn = draw(picture, [mask])
    changed = (drawn != 200).any(axis=2)
    scale = SIDE_PX / 160
    ys, xs = np.nonzero(changed)
    assert np.abs(np.array([ys.min(), ys.max()]) / scale - (30, 90)).max() < 2
    assert np.abs(np.array([xs.min(), xs.max()]) / scale - (40, 100)).max() < 2
    assert not changed[round(60 * scale), round(70 * scale)]
