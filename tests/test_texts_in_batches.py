"""Padding and pooling: a text alone gives the logits it gives among longer ones, in every family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import models
import torch

from fairaudit.errors import FairauditError
from fairaudit_mitigate.classifier import Classifier, Request, load

TEXTS = ["good", "the film", "bad woman the a film day good", "a day", "nonesuch", "the nonesuch"]


def logits_of(found: Classifier, texts: list[str]) -> torch.Tensor:
    items = [found.preprocessor.encode(text, "t") for text in texts]
    batch = found.preprocessor.collate([{**item, "labels": 0} for item in items])
    batch.pop("labels")
    with torch.inference_mode():
        logits: torch.Tensor = found.model(**batch).logits
    return logits


@pytest.mark.parametrize("kind", models.TEXTS)
def test_alone_is_as_among_others(kind: str, tmp_path: Path) -> None:
    found = load(models.save_model(kind, tmp_path / "m"), Request("text"))
    assert found.preprocessor.processor.padding_side == "right"
    together = logits_of(found, TEXTS)
    alone = torch.cat([logits_of(found, [text]) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-5)
    assert (together[0] - together[2]).abs().max() > 1e-4


@pytest.mark.parametrize("kind", models.DECODERS)
def test_a_decoder_is_read_at_its_last_real_token(kind: str, tmp_path: Path) -> None:
    found = load(models.save_model(kind, tmp_path / "m"), Request("text"))
    ids = found.preprocessor.encode(TEXTS[1], "t")["input_ids"]
    body: Any = getattr(found.model, found.model.base_model_prefix)
    with torch.inference_mode():
        last = body(torch.tensor([ids])).last_hidden_state[:, -1]
        assert torch.allclose(logits_of(found, TEXTS)[1], found.model.score(last)[0], atol=1e-5)


@pytest.mark.parametrize("kind", models.TEXTS)
def test_an_empty_text_and_a_long_one_are_texts(kind: str, tmp_path: Path) -> None:
    found = load(models.save_model(kind, tmp_path / "m"), Request("text"))
    texts = ["", "good " * 100, "bad"]
    longest = 33 if kind == "roberta" else 32  # RoBERTa counts from behind the padding's position: 34 - 0 - 1
    assert len(found.preprocessor.encode(texts[1], "t")["input_ids"]) == longest
    together = logits_of(found, texts)
    assert torch.isfinite(together).all()
    assert torch.allclose(together, torch.cat([logits_of(found, [text]) for text in texts]), atol=1e-5)


def test_the_padding_token_is_set_and_saved(tmp_path: Path) -> None:
    folder = models.save_model("gpt2", tmp_path / "m")
    found = load(folder, Request("text"))
    assert found.preprocessor.processor.pad_token == "[SEP]"
    found.model.save_pretrained(tmp_path / "again")
    found.preprocessor.save(tmp_path / "again")
    assert (
        json.loads((tmp_path / "again/config.json").read_text())["pad_token_id"]
        == models.ENDS["eos_token_id"]
    )
    again = load(tmp_path / "again", Request("text"))
    assert torch.equal(logits_of(again, TEXTS), logits_of(found, TEXTS))


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_a_missing_tokenizer_is_refused_and_never_made_up(kind: str, tmp_path: Path) -> None:
    folder = models.save_model(kind, tmp_path / "m")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(FairauditError, match="has no tokenizer"):
        load(folder, Request("text"))


@pytest.mark.skipif(not models.SHARED.is_dir(), reason="the real models stand in ../shared/data")
def test_the_real_llama_pads_as_if_it_did_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = load(models.SHARED / "models/stories260K-llama", Request("text", ("0", "1")))
    texts = ["Once upon a time", "She was sad.", "There was a little girl who had a big red ball and a dog."]
    together = logits_of(found, texts)
    assert torch.allclose(together, torch.cat([logits_of(found, [t]) for t in texts]), atol=1e-4)
    assert len({round(float(x), 4) for x in together[:, 0]}) == 3
