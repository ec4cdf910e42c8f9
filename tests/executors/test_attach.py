"""What a worker process is told comes back as it was said."""

from hypothesis import given
from hypothesis import strategies as st

from mrcore.executors.attach import Attach, Task, decode_attach, decode_task, encode

COUNT = st.integers(0, 1 << 62)


@given(st.builds(Attach, st.binary(), st.binary(), st.text(), COUNT, COUNT, COUNT, st.binary(), st.binary()))
def test_an_attach_comes_back(attach):
    assert decode_attach(encode(attach)) == attach


@given(st.builds(Task, st.binary(), st.binary()))
def test_a_task_comes_back(task):
    assert decode_task(encode(task)) == task
