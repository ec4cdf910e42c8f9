"""What a worker process is told comes back as it was said."""

from hypothesis import given
from hypothesis import strategies as st

from mrcore.executors.attach import Attach, decode_attach, decode_task, encode_attach, encode_task

COUNT = st.integers(0, 1 << 62)


@given(st.builds(Attach, st.binary(), st.binary(), st.text(), COUNT, COUNT, COUNT, st.binary(), st.binary()))
def test_an_attach_comes_back(attach):
    assert decode_attach(encode_attach(attach)) == attach


@given(folder=st.binary(), spec=st.binary())
def test_a_task_comes_back(folder, spec):
    assert decode_task(encode_task(folder, spec)) == (folder, spec)
