"""What goes wrong in the contract is shown as well as in the tests."""

import pytest

pytest.register_assert_rewrite("mrcore.testing.executor_contract")
