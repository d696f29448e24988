"""When two prompts are the same prompt."""

import hashlib
import unicodedata


def prompt_key(prompt: str) -> str:
    """Return what two prompts have in common exactly if they count as the same one; the texts themselves stay as typed.

    Differences in case, white space, Unicode form (NFKC) and invisible characters (zero-width ones and others of category Cf,
    variation selectors) do not count: a model that was trained on one such text has seen the other.

    >>> prompt_key("Name  a\\u200b prime\\n"), prompt_key("NAME A PRIME")
    ('name a prime', 'name a prime')
    """
    if not prompt.isascii():
        shown = "".join(c for c in prompt if unicodedata.category(c) != "Cf" and not "\ufe00" <= c <= "\ufe0f")
        prompt = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    return " ".join(prompt.casefold().split())


def prompt_digest(prompt: str) -> str:
    """Return 16 hexadecimal digits that stand for a prompt, and for all that are the same one, in `metrics.json`."""
    return hashlib.sha256(prompt_key(prompt).encode(errors="surrogatepass")).hexdigest()[:16]
