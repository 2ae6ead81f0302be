"""Numbers with units: what is written is read back, and what is no number says how one looks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.nemesis import FAULTS
from harness.nemesis.parameters import Parameter, factor, rate_kbit, share, size_megabytes, time_ms

PARAMETERS = [parameter for fault in FAULTS.values() for parameter in fault.parameters.values()]


def values_of(parameter: Parameter) -> st.SearchStrategy[float]:
    return st.floats(max(parameter.least, -1e12), min(parameter.most, 1e12), allow_nan=False)


@given(st.sampled_from(PARAMETERS), st.data())
def test_what_is_written_is_read_back_to_the_last_digit(parameter, data):
    value = data.draw(values_of(parameter))
    assert parameter.read(parameter.write(value)) == value


@given(st.sampled_from(PARAMETERS))
def test_an_example_is_one(parameter):
    assert parameter.least <= parameter.read(parameter.example) <= parameter.most


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (time_ms("2s"), "2s", 2000),
        (time_ms("2s"), "50ms", 50),
        (time_ms("2s"), "0.5", 500),
        (time_ms("2s", least=-math.inf), "-3s", -3000),
        (share("20%"), "20%", 0.2),
        (share("20%"), "0.2", 0.2),
        (rate_kbit("1mbit"), "1.5mbit", 1500),
        (rate_kbit("1mbit"), "9kbit", 9),
        (size_megabytes("256M"), "2G", 2048),
        (factor("1.5", 0.01, 100), "2x", 2),
        (factor("1.5", 0.01, 100), "0.5", 0.5),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_units_are_those_that_people_write(parameter, text, value):
    assert parameter.read(text) == value


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        *((time_ms("2s"), text) for text in ("", "s", "2m", "2 s", "1e3", "nan", "inf", "-1s", "two", "2s2s", "20%")),
        *((share("20%"), text) for text in ("101%", "1.1", "-1%", "20ms")),
        *((rate_kbit("1mbit"), text) for text in ("0kbit", "5", "1MBIT")),
        *((size_megabytes("256M"), text) for text in ("0M", "256", "256m")),
        *((factor("1.5", 0.01, 100), text) for text in ("0", "101", "-1")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_such_number_is_one_line_with_an_example(parameter, text):
    with pytest.raises(ValueError, match=r"such as|something like") as error:
        parameter.read(text)
    assert parameter.example in str(error.value)
    assert "\n" not in str(error.value)


def test_people_find_what_they_wrote_again():
    written = [(time_ms("2s"), "2000ms"), (share("20%"), "20%"), (rate_kbit("1mbit"), "1000kbit")]
    assert [parameter.write(parameter.read(text)) for parameter, text in written] == [text for _, text in written]
