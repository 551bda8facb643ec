"""Tiny random PRMs as checkpoint folders: tokenizers and key names are the published ones."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from testtime.engines.transformers.prm import load_prm
from testtime.study.catalog import PrmSpec
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2Model,
)

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
CORPUS = [
    "What is 2 + 3 * 4 - 1 ? Add 2 and 3 to get 5. Then the answer is 17. ки ки x - 1 + y",
    "Step 1: First compute 12 - 5 = 7. Step 2: So \\boxed{7} is what we want. ки",
    "system user assistant Please reason step by step, and put your final answer within boxed",
    "Ответ 7",
]
LLAMA_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_SPLIT = LLAMA_SPLIT.replace("{1,3}", "")
LLAMA_TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] "
    "| trim %}{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n\n' "
    "+ system + '<|eot_id|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] "
    "+ '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
)
QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    + SYSTEM.replace("\\", "\\\\")
    + "<|im_end|>\n' }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' "
    "+ m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
)
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.25,  # large enough for scores to differ
}


FORMATS = ("math-shepherd", "rlhflow", "skywork", "qwen2.5-math-prm")
PROBLEM = "What is 2 + 3 * 4 - 1?"
TEXTS = [
    (PROBLEM, ["Multiply 3 and 4 to get 12.", "Then 2 + 12 - 1 = 13.", "\\boxed{13}"]),
    (PROBLEM, ["Multiply 3 and 4 to get 12."]),
    ("x?", ["y"]),
    ("Compute $x^2$ for x = 5.\nGive an integer.\n", ["First x = 5.", "So 25.", "25"]),
    ("What is 7 - 5?", [f"Step {k}: so far {k * k} - {k} = {k * k - k}." for k in range(1, 13)]),
    ("Сколько 3 + 4?", ["Ответ 7", "7 → ∎ 😀"]),
    (PROBLEM, ["Add 2 and 3 to get 5.", "5 * 4 - 1 = 19", "\\boxed{19}"]),
    ("A" * 120, ["B" * 90, "C"]),
]


def load(
    format: str,
    folder: Path,
    *,
    context: int = 512,
    dtype: str = "auto",
    trained_context: int | None = None,
    **options,
):
    """The PRM in engine transformers."""
    entry = {"context": context, "trained_context": trained_context, "dtype": dtype}
    return load_prm(PrmSpec(folder.name, 0, model=str(folder), format=format, **entry), **options)


def with_positions(folder: Path, copy: Path, positions: int) -> Path:
    """A copy of a model whose config allows this many positions."""
    shutil.copytree(folder, copy)
    path = copy / "config.json"
    config = json.loads(path.read_text()) | {"max_position_embeddings": positions}
    path.write_text(json.dumps(config))
    return copy


def build(format: str, folder: Path) -> Path:
    """Write a random checkpoint of this format's architecture; one that is there is kept."""
    if (folder / "model.safetensors").is_file():
        return folder
    torch.manual_seed(7)
    {
        "math-shepherd": _math_shepherd,
        "rlhflow": _rlhflow,
        "skywork": _skywork,
        "qwen2.5-math-prm": _qwen,
    }[format](folder)
    return folder


def _math_shepherd(folder: Path) -> None:
    n = _sentencepiece(folder)
    config = MistralConfig(vocab_size=n, sliding_window=None, dtype="float32", **SIZES)
    MistralForCausalLM(config).save_pretrained(folder)


def _rlhflow(folder: Path) -> None:
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"]
    n = _byte_level(
        folder,
        LLAMA_SPLIT,
        [*special, "<|eot_id|>"],
        tokenizer_class="PreTrainedTokenizerFast",
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        chat_template=LLAMA_TEMPLATE,
    )
    LlamaForCausalLM(LlamaConfig(vocab_size=n, dtype="float32", **SIZES)).save_pretrained(folder)


def _skywork(folder: Path) -> None:
    n = _byte_level(
        folder,
        QWEN_SPLIT,
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        tokenizer_class="Qwen2Tokenizer",
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        chat_template=QWEN_TEMPLATE,
    )
    head = torch.nn.Linear(SIZES["hidden_size"], 1)
    weights = {"v_head.summary.weight": 5 * head.weight, "v_head.summary.bias": head.bias}
    weights["lm_head.weight"] = torch.randn(n, SIZES["hidden_size"])  # the files keep it
    _qwen2(folder, n, "Qwen2ForPrmModel", weights)


def _qwen(folder: Path) -> None:
    n = _byte_level(
        folder,
        QWEN_SPLIT,
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"],
        tokenizer_class="Qwen2Tokenizer",
        bos_token=None,
        eos_token="<|im_end|>",
        chat_template=QWEN_TEMPLATE,
    )
    h = SIZES["hidden_size"]
    weights = {
        "score.0.weight": torch.randn(h, h) / h**0.5,
        "score.0.bias": torch.randn(h) / 10,
        "score.2.weight": torch.randn(2, h),
        "score.2.bias": torch.randn(2) / 10,
    }
    _qwen2(folder, n, "Qwen2ForProcessRewardModel", weights)


def _qwen2(folder: Path, vocabulary: int, architecture: str, head: dict) -> None:
    config = Qwen2Config(vocab_size=vocabulary, dtype="float32", **SIZES)
    backbone = Qwen2Model(config).state_dict()
    weights = {f"model.{name}": value for name, value in backbone.items()} | head
    save_file(
        {name: value.detach().contiguous() for name, value in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    code = {"AutoModel": f"modeling_qwen2_rm.{architecture}"}  # must not be asked for
    config.save_pretrained(folder)
    path = folder / "config.json"
    entries = json.loads(path.read_text()) | {"architectures": [architecture], "auto_map": code}
    path.write_text(json.dumps(entries))


def _sentencepiece(folder: Path) -> int:
    """A Llama-style BPE: words begin with ▁, what is unknown falls back to bytes (\\n included)."""
    pieces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    learner = Tokenizer(models.BPE())
    learner.normalizer = pieces
    learner.pre_tokenizer = pre_tokenizers.Split(Regex("(?=▁)"), "isolated")
    learner.train_from_iterator(
        CORPUS * 4, trainers.BpeTrainer(vocab_size=300, show_progress=False)
    )
    learned = json.loads(learner.to_str())["model"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    names += [name for name in learned["vocab"] if name not in names]
    tokenizer = Tokenizer(
        models.BPE(
            {name: index for index, name in enumerate(names)},
            [tuple(pair) for pair in learned["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = pieces
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in names[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A", special_tokens=[("<s>", names.index("<s>"))]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    _save(folder, tokenizer, "LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    return len(names)


def _byte_level(folder: Path, split: str, special: list[str], **config) -> int:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"{line}\n\n{line}?\n" for line in CORPUS], trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    if config["bos_token"] == "<|begin_of_text|>":
        tokenizer.post_processor = processors.TemplateProcessing(
            "<|begin_of_text|> $A",
            special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))],
        )
    _save(folder, tokenizer, config.pop("tokenizer_class"), **config)
    return tokenizer.get_vocab_size()


def _save(folder: Path, tokenizer: Tokenizer, tokenizer_class: str, **config) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config |= {"tokenizer_class": tokenizer_class, "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
