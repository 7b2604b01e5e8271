"""A secret shows itself only where it is asked to."""

import copy
import json
import pickle
from dataclasses import asdict, dataclass

import pytest

from actions_gateway.github.secrets import Secret


@dataclass
class Holder:
    token: Secret


def test_nothing_that_prints_shows_a_secret() -> None:
    secret = Secret("planted")
    shown = [str(secret), repr(secret), f"{secret}", f"{[secret]}", f"{Holder(secret)}", str(asdict(Holder(secret)))]
    assert [text for text in shown if "planted" in text] == []
    assert secret.reveal() == "planted"


def test_a_secret_is_never_serialised() -> None:
    for serialise in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            serialise(Secret("planted"))


def test_secrets_compare_by_value_and_survive_copies() -> None:
    secret = Secret("planted")
    assert secret == copy.deepcopy(secret) == Secret("planted") != Secret("other")
    assert {secret: 1}[Secret("planted")] == 1
    assert not Secret("")
