"""Images are prepared by what the training images say, and images without a pattern are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scikit_learn_checks import outcomes, reason_zero_images
from sklearn.exceptions import NotFittedError

from neurocircuit.plasticity import CentredUnitNorm

CENTRES = ["mean image", "own mean", "none"]


@given(
    count=st.integers(2, 9),
    pixels=st.integers(2, 12),
    centre=st.sampled_from(CENTRES),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_each_image_is_centred_and_divided_by_its_norm(count, pixels, centre, dtype, seed):
    rng = np.random.default_rng(seed)
    training, test = (rng.uniform(0, 255, (count, pixels)).astype(dtype) for _ in range(2))
    prepare = CentredUnitNorm(centre).fit(training)
    found = prepare.transform(test)
    assert found.dtype == dtype
    for image, row in zip(test.astype(float), found, strict=True):
        mean = {"mean image": training.mean(axis=0, dtype=float), "own mean": image.mean(), "none": 0}[centre]
        expected = (image - mean) / np.sqrt(((image - mean) ** 2).sum())
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-11)


def test_the_mean_is_that_of_the_training_images_whatever_is_transformed(rng):
    training, test = rng.uniform(size=(30, 6)), rng.uniform(size=(4, 6)) + 10
    prepare = CentredUnitNorm().fit(training)
    np.testing.assert_allclose(prepare.mean_, training.mean(axis=0))
    together = prepare.transform(test)
    np.testing.assert_array_equal(together, np.concatenate([prepare.transform(image[None]) for image in test]))
    np.testing.assert_allclose(prepare.mean_, training.mean(axis=0))


def test_the_mean_of_many_float32_images_is_exact():
    """NumPy's own mean of these is wrong in the fourth digit."""
    images = np.tile(np.float32([[0.1, 200.3], [200.3, 0.1]]), (200_000, 1))
    np.testing.assert_allclose(CentredUnitNorm().fit(images).mean_, 100.2, rtol=1e-6)
    assert abs(images.mean(axis=0)[0] - 100.2) > 1e-3


def test_what_is_only_rounding_is_refused():
    with pytest.raises(ValueError, match="equal what is subtracted"):
        CentredUnitNorm("own mean").fit(np.float32([[1.0, 1.0000001]]))
    found = CentredUnitNorm("own mean").fit_transform(np.float64([[1.0, 1.0000001]]))
    np.testing.assert_allclose(found, [[-(0.5**0.5), 0.5**0.5]])


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([3.0, 3.0, 3.0], r"1 image\(s\) whose pixels are all equal, the first in row 2 with the value 3"),
        ([0.0, 0.0, 0.0], r"1 image\(s\) whose pixels are all equal, the first in row 2 with the value 0"),
        ([1.0, np.nan, 0.0], "NaN"),
        ([1.0, np.inf, 0.0], "infinity"),
    ],
)
def test_images_without_a_pattern_are_refused_with_their_row(row, message, centre, rng):
    good = rng.uniform(size=(5, 3))
    bad = good.copy()
    bad[2] = row
    with pytest.raises(ValueError, match=message):
        CentredUnitNorm(centre).fit(bad)
    with pytest.raises(ValueError, match=message):
        CentredUnitNorm(centre).fit(good).transform(bad)


def test_an_image_that_equals_the_mean_is_refused_with_its_row(rng):
    training = rng.uniform(size=(5, 4))
    prepare = CentredUnitNorm().fit(training)
    images = np.stack([training[0], prepare.mean_])
    with pytest.raises(ValueError, match=r"equal what is subtracted \(centre='mean image'\), the first in row 1"):
        prepare.transform(images)
    with pytest.raises(ValueError, match=r"n_samples=1.*is its own mean"):
        CentredUnitNorm().fit(training[:1])


def test_other_bad_input_is_refused(rng):
    images = rng.uniform(size=(5, 4))
    with pytest.raises(ValueError, match="`centre` is 'mean'; it must be one of mean image, own mean, none"):
        CentredUnitNorm("mean").fit(images)
    with pytest.raises(ValueError, match="X has 3 features, but CentredUnitNorm is expecting 4 features"):
        CentredUnitNorm().fit(images).transform(images[:, :3])
    with pytest.raises(ValueError, match=r"images of one pixel \(n_features=1\)"):
        CentredUnitNorm().fit(images[:, :1])
    with pytest.raises(NotFittedError):
        CentredUnitNorm().transform(images)


@pytest.mark.parametrize("centre", CENTRES)
def test_it_is_a_scikit_learn_transformer(centre):
    assert outcomes(CentredUnitNorm(centre)) == {"check_estimators_dtypes": reason_zero_images}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_images_of_every_type_are_taken(dtype):
    """What `check_estimators_dtypes` would check, were its images not zero in one row."""
    images = np.arange(12).reshape(3, 4).astype(dtype) ** 2
    found = CentredUnitNorm("own mean").fit_transform(images)
    assert found.dtype == (np.float32 if dtype == "float32" else np.float64)
    np.testing.assert_allclose(found, CentredUnitNorm("own mean").fit_transform(images.astype(float)), atol=1e-6)
