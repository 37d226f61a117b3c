"""A Whisper model that says a given sentence, of a few hundred kilobytes unless asked for more: real loading, real
decoding, no download.

Its decoder looks at nothing but the token before: `<|transcribe|>` leads to the first word, each word
to the next, the last to the end. So it says its sentence once for every 30 s of sound, whatever was
said before. The encoder is random, and the attention to it counts for word times only.
"""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ctranslate2.specs.whisper_spec import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SENTENCE = (" 회의를", " 시작", "하겠습니다", ".")
SPOKEN_S = 3.0

_AUDIO_POSITIONS = 1500
_TEXT_POSITIONS = 448
_TIMESTAMPS = 1501
_END = "<|endoftext|>"
# CTranslate2 4.8.5 takes a vocabulary without this token for that of an English-only model.
_EMPTY = ""
_SURE = 20.0
"""Score of the wanted token where all others have about 0: a probability near 1."""

_NEVER = -100.0
_NOT_YET = -40.0
"""What an end that is not due scores: beams of hopeless words would end the search with it otherwise."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a model is; the usual one costs next to nothing."""

    width: int = 64
    heads: int = 2
    encoder_layers: int = 1
    decoder_layers: int = 1
    mels: int = 80


TINY = Shape()
LARGE_V3_TURBO = Shape(width=1280, heads=20, encoder_layers=32, decoder_layers=4, mels=128)


def build(
    folder: Path,
    *,
    words: tuple[str, ...] = SENTENCE,
    language: str = "ko",
    multilingual: bool = True,
    seed: int = 0,
    shape: Shape = TINY,
    quantization: str = "int8",
) -> Path:
    """Write a model that says `words` in `language`, from 0 s to `SPOKEN_S` of each 30 s; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(words, multilingual)
    tokenizer.save(str(folder / "tokenizer.json"))
    spec = _spec(tokenizer, words, language, np.random.default_rng(seed), shape)
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))
    features = {"feature_size": shape.mels, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    return folder


def _tokenizer(words: tuple[str, ...], multilingual: bool) -> Tokenizer:
    byte_letters = _byte_letters()
    pieces = sorted(byte_letters.values())
    # faster-whisper suppresses the first token of " -" and " '" and of a note sign: with these merges
    # that is not the space itself.
    merges = [("Ġ", "-"), ("Ġ", "'"), ("Ġ", "â")]
    pieces += ["".join(pair) for pair in merges]
    pieces += [letters for word in words if (letters := _letters(word)) not in pieces]
    if multilingual:
        pieces.append(_EMPTY)
    # The end token comes right after the text's: what is below it is text to the decoder.
    vocabulary = {piece: number for number, piece in enumerate([*pieces, _END])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [_END, "<|startoftranscript|>", *(f"<|{code}|>" for code in _LANGUAGE_CODES)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special += ["<|notimestamps|>", *(f"<|{number * 0.02:.2f}|>" for number in range(_TIMESTAMPS))]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _byte_letters() -> dict[int, str]:
    """Return the letter that stands for each byte in byte-level vocabularies."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}


def _letters(text: str) -> str:
    letters = _byte_letters()
    return "".join(letters[byte] for byte in text.encode())


def _spec(
    tokenizer: Tokenizer, words: tuple[str, ...], language: str, random: np.random.Generator, shape: Shape
) -> WhisperSpec:
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    spec = WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    weights = _Weights(random, shape)
    _fill_encoder(spec.encoder, weights)
    _fill_decoder(spec.decoder, weights, len(vocabulary))
    for before, after in _sayings(tokenizer, words, language):
        _teach(spec.decoder, before, after, _SURE)
    end = tokenizer.token_to_id(_END)
    spec.decoder.projection.bias[end] = _NOT_YET
    _teach(spec.decoder, tokenizer.token_to_id(f"<|{SPOKEN_S:.2f}|>"), end, -_NOT_YET)
    if _EMPTY in tokenizer.get_vocab():
        spec.decoder.projection.bias[tokenizer.token_to_id(_EMPTY)] = _NEVER
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [end]
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{code}|>") for code in _LANGUAGE_CODES]
    spec.config.alignment_heads = [[0, head] for head in range(shape.heads)]
    spec.register_vocabulary([token for token, _ in vocabulary])
    return spec


def _sayings(tokenizer: Tokenizer, words: tuple[str, ...], language: str) -> list[tuple[int, int]]:
    """Return which token follows which."""
    first, last = "<|0.00|>", f"<|{SPOKEN_S:.2f}|>"
    sentence = [first, *(_letters(word) for word in words), last, _END]
    pairs = [("<|startoftranscript|>", f"<|{language}|>"), ("<|transcribe|>", first), ("<|translate|>", first)]
    pairs += list(itertools.pairwise(sentence))
    return [(tokenizer.token_to_id(before), tokenizer.token_to_id(after)) for before, after in pairs]


class _Weights:
    def __init__(self, random: np.random.Generator, shape: Shape) -> None:
        self._random = random
        self.shape = shape
        self.width = shape.width

    def some(self, *shape: int, scale: float = 0.05) -> npt.NDArray[np.float32]:
        return self._random.standard_normal(shape, np.float32) * np.float32(scale)

    def norm(self, layer) -> None:
        layer.gamma = np.ones(self.width, np.float32)
        layer.beta = np.zeros(self.width, np.float32)

    def linear(self, layer, outputs: int, inputs: int) -> None:
        layer.weight = self.some(outputs, inputs)
        layer.bias = np.zeros(outputs, np.float32)

    def feed_forward(self, layer) -> None:
        self.norm(layer.layer_norm)
        self.linear(layer.linear_0, 4 * self.width, self.width)
        self.linear(layer.linear_1, self.width, 4 * self.width)

    def attention(self, layer, outputs: tuple[int, ...]) -> None:
        self.norm(layer.layer_norm)
        for linear, size in zip(layer.linear, outputs, strict=True):
            self.linear(linear, size, self.width)


def _fill_encoder(encoder, weights: _Weights) -> None:
    width = weights.width
    encoder.conv1.weight, encoder.conv1.bias = weights.some(width, weights.shape.mels, 3), weights.some(width)
    encoder.conv2.weight, encoder.conv2.bias = weights.some(width, width, 3), weights.some(width)
    encoder.position_encodings.encodings = weights.some(_AUDIO_POSITIONS, weights.width)
    weights.norm(encoder.layer_norm)
    for layer in encoder.layer:
        weights.attention(layer.self_attention, (3 * weights.width, weights.width))
        weights.feed_forward(layer.ffn)


def _fill_decoder(decoder, weights: _Weights, tokens: int) -> None:
    vectors = weights.some(tokens, weights.width, scale=1.0)
    vectors -= vectors.mean(axis=1, keepdims=True)
    decoder.embeddings.weight = vectors / vectors.std(axis=1, keepdims=True)
    decoder.position_encodings.encodings = np.zeros((_TEXT_POSITIONS, weights.width), np.float32)
    weights.norm(decoder.layer_norm)
    decoder.projection.weight = np.zeros((tokens, weights.width), np.float32)
    decoder.projection.bias = np.zeros(tokens, np.float32)
    for layer in decoder.layer:
        weights.attention(layer.self_attention, (3 * weights.width, weights.width))
        weights.attention(layer.attention, (weights.width, 2 * weights.width, weights.width))
        weights.feed_forward(layer.ffn)
        for last in (layer.self_attention.linear[-1], layer.attention.linear[-1], layer.ffn.linear_1):
            last.weight[:] = 0  # each layer adds nothing: the hidden state stays the token's own vector


def _teach(decoder, before: int, after: int, score: float) -> None:
    # The norm of a token's vector, squared, is the width: that is what the hidden state gives with itself.
    vector = decoder.embeddings.weight[before]
    decoder.projection.weight[after] += vector * score / len(vector)
