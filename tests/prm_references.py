"""Each PRM format's tokens and scores, one text at a time, as its published code and card say."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from tiny_prms import SYSTEM
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2Model


def reference_ids(format: str, folder: Path, problem: str, steps: list[str]) -> list[int]:
    """Token ids as the published inference code feeds them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if format == "math-shepherd":
        text = f"{problem} " + "\n".join(f"{step} ки" for step in steps)
        return tokenizer(text).input_ids
    if format == "rlhflow":
        turns = []
        for k, step in enumerate(steps):
            turns.append({"role": "user", "content": f"{problem} {step}" if k == 0 else step})
            turns.append({"role": "assistant", "content": "+"})
        return tokenizer.apply_chat_template(turns)["input_ids"]
    if format == "skywork":
        ids = tokenizer.encode(tokenizer.bos_token + problem + "\n")
        for step in steps:
            ids += [*tokenizer.encode(step.replace("\n", " ")), tokenizer.encode("\n")[-1]]
        return ids
    turns = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": problem},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    return tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False))


@torch.no_grad()
def reference_scores(format: str, folder: Path, problem: str, steps: list[str]) -> list[float]:
    """Scores of one text, unbatched, from the raw weights, as the model cards describe them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if format == "rlhflow":  # one pass per step; the answer is predicted third from the end
        plus, minus = tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
        scores = []
        for k in range(1, len(steps) + 1):
            ids = torch.tensor([reference_ids(format, folder, problem, steps[:k])])
            assert tokenizer.convert_ids_to_tokens(ids[0, -2:].tolist()) == ["+", "<|eot_id|>"]
            scores.append(model(ids).logits[0, -3, [plus, minus]].softmax(-1)[0].item())
        return scores
    ids = torch.tensor([reference_ids(format, folder, problem, steps)])
    if format == "math-shepherd":
        candidates = tokenizer.encode("+ -")[1:]
        tag = tokenizer.encode("ки")[-1]
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
        scores = model(ids).logits[:, :, candidates].softmax(-1)[:, :, 0]
        return scores[ids == tag].tolist()
    weights = load_file(folder / "model.safetensors")
    config = Qwen2Config.from_pretrained(folder, attn_implementation="eager")
    backbone = Qwen2Model(config).eval()
    backbone.load_state_dict(
        {k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")}
    )
    hidden = backbone(ids).last_hidden_state[0]
    if format == "skywork":
        value = hidden @ weights["v_head.summary.weight"][0] + weights["v_head.summary.bias"]
        tokens, ends, at = ids[0].tolist(), [], 0
        at = len(tokenizer.encode(tokenizer.bos_token + problem + "\n"))
        for step in steps:
            at += len(tokenizer.encode(step.replace("\n", " "))) + 1
            ends.append(at - 1)
        assert {tokens[end] for end in ends} == {tokenizer.encode("\n")[-1]}
        return value[ends].sigmoid().tolist()
    inner = torch.relu(hidden @ weights["score.0.weight"].T + weights["score.0.bias"])
    logits = inner @ weights["score.2.weight"].T + weights["score.2.bias"]
    tag = tokenizer.encode("<extra_0>")[0]
    return logits.softmax(-1)[ids[0] == tag, 1].tolist()
