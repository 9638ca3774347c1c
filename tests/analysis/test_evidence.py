"""Maps of the pixels that matter find the pixels that matter."""

import numpy as np
import pytest
import torch
from torch import nn

from neurocircuit.analysis import input_gradient, occlusion_map
from neurocircuit.networks import FeedforwardClassifier, HGRUClassifier


class OnePixel(nn.Module):
    """Its evidence for class 1 is three times the grey level of one pixel."""

    def __init__(self, y, x):
        super().__init__()
        self.place = (y, x)

    def forward(self, image):
        value = image[:, 0, self.place[0], self.place[1]]
        return torch.stack([torch.zeros_like(value), 3 * value], dim=1)


@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("place", [(3, 5), (0, 0), (7, 8)])
def test_occlusion_finds_the_one_pixel_that_matters(place, batch):
    image = torch.rand(2, 1, 8, 9) + 0.1
    found = occlusion_map(OnePixel(*place), image, size=3, batch=batch)
    y, x = np.indices((8, 9))
    near = (abs(y - place[0]) <= 1) & (abs(x - place[1]) <= 1)
    for one, picture in zip(found.values, image, strict=True):
        np.testing.assert_allclose(one, near * 3 * picture[0, place[0], place[1]].item(), rtol=1e-6)


def test_occlusion_is_the_fall_of_evidence_of_the_covered_image():
    torch.manual_seed(0)
    network, image = FeedforwardClassifier(3, 3, layers=2, filters=4).eval(), torch.rand(1, 1, 9, 9)
    found = occlusion_map(network, image, 0, size=3, stride=4, fill=0.5)
    assert found.y.values.tolist() == [0, 4, 8]
    covered = image.clone()
    covered[:, :, 3:6, 7:9] = 0.5
    with torch.no_grad():
        before, after = (network(one)[0] for one in (image, covered))
    expected = (before[0] - before[1]) - (after[0] - after[1])
    assert found.sel(y=4, x=8).item() == pytest.approx(expected.item(), abs=1e-6)
    assert abs(expected) > 1e-5


def test_occlusion_of_the_other_class_is_the_negative():
    network, image = OnePixel(3, 3), torch.rand(1, 1, 6, 6)
    np.testing.assert_allclose(occlusion_map(network, image, 0), -occlusion_map(network, image, 1))


@pytest.mark.parametrize("make", [lambda: HGRUClassifier(4, 5, 3), lambda: FeedforwardClassifier(3, 3, filters=4)])
def test_the_input_gradient_is_that_of_the_difference_of_the_logits(make):
    torch.manual_seed(0)
    network, image = make().double(), torch.rand(2, 1, 9, 9, dtype=torch.float64)
    found = input_gradient(network.train(), image, 1)
    assert network.training
    own = image.clone().requires_grad_()
    logits = network.eval()(own)
    (logits[:, 1] - logits[:, 0]).sum().backward()
    np.testing.assert_allclose(found, own.grad[:, 0], atol=1e-12)
    assert own.grad.abs().max() > 0
    assert image.grad is None


def test_the_input_gradient_predicts_a_small_change():
    image = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    found = input_gradient(OnePixel(2, 4), image)
    expected = np.zeros((1, 6, 6))
    expected[0, 2, 4] = 3
    np.testing.assert_array_equal(found, expected)


def test_more_than_two_classes_compete_with_the_strongest():
    class Three(nn.Module):
        def forward(self, image):
            total = image.sum((1, 2, 3))
            return torch.stack([total, 5 * total, -total], dim=1)

    found = input_gradient(Three(), torch.ones(1, 1, 2, 2), 0)
    np.testing.assert_array_equal(found, np.full((1, 2, 2), -4.0))


def test_maps_leave_no_trace():
    network, image = HGRUClassifier(4, 5, 2).train(), torch.rand(1, 1, 9, 9)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    occlusion_map(network, image, stride=3)
    input_gradient(network, image)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert network.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "`size` is 4; it must be an odd"),
        ({"size": 0}, "`size` is 0"),
        ({"stride": 0}, "`stride` is 0"),
        ({"batch": 2.5}, r"`batch` is 2\.5"),
        ({"target": 2}, "`target` is 2; the network has the classes 0 to 1"),
        ({"target": -1}, "`target` is -1"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        occlusion_map(OnePixel(1, 1), torch.rand(1, 1, 5, 5), **options)
