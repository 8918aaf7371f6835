"""A consumer in a thread: it gets every item, and its errors and those of the caller end both."""

import threading

import pytest

from softkmeans.data.files.consumer import consumer


def threads():
    return [thread for thread in threading.enumerate() if "consumer" in thread.name]


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_items_arrive_in_order(n):
    found = []
    with consumer(found.extend) as give:
        for i in range(n):
            give(i)
    assert found == list(range(n))
    assert threads() == []


def test_a_function_that_stops_early_does_not_block_the_caller():
    found = []
    with consumer(lambda items: found.append(next(items))) as give:
        for i in range(20):
            give(i)
    assert found == [0]
    assert threads() == []


def test_a_function_that_takes_nothing_does_not_block_the_caller():
    with consumer(lambda items: None) as give:
        for i in range(20):
            give(i)
    assert threads() == []


def failing(items):
    for item in items:
        if item == 3:
            raise KeyError("mine")


def test_an_error_of_the_function_is_raised_to_the_caller():
    given = []
    with pytest.raises(KeyError, match="mine"), consumer(failing) as give:  # noqa: PT012
        for i in range(1000):
            give(i)
            given.append(i)
    assert len(given) < 1000  # the caller need not go on to the end
    assert threads() == []


def test_an_error_at_the_last_item_is_raised_at_the_end():
    with pytest.raises(KeyError, match="mine"), consumer(failing) as give:
        give(3)
    assert threads() == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_of_the_caller_stops_the_function(error):
    ended = []

    def function(items):
        try:
            list(items)
        finally:
            ended.append("early" if threading.current_thread() in threads() else "elsewhere")
        ended.append("complete")

    with pytest.raises(error), consumer(function) as give:  # noqa: PT012
        give(1)
        raise error
    assert ended == ["early"]
    assert threads() == []
