"""The chat template of a model: its own, another one, or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from chainlang.engines.protocol import refuse

NONE = "none"
_JOINED = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def template_text(tokenizer: Any, given: str | os.PathLike[str] | None, model: str) -> str:
    """Return the text of the chat template of a model.

    `given` is a template, the path of a file with one, or "none" for a base model: the texts of the
    messages follow each other as they are, after the token that the tokenizer begins texts with.
    None is for the template of the tokenizer. Raises `EngineError` if there is none.
    """
    if given is None:
        if not tokenizer.chat_template:
            hint = (
                "use one that is trained to chat; its name often ends in -Instruct\n"
                'or, for a base model, write chat_template="none"'
            )
            refuse(f"{model!r} has no chat template", hint, model=model)
        return str(tokenizer.chat_template)
    if given == NONE:
        begins = tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]
        return ("{{ bos_token }}" if begins else "") + _JOINED
    if isinstance(given, str) and "{" in given:
        return given
    path = Path(given).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        what = f"the chat template {os.fspath(given)!r} can't be read: {error}"
        hint = 'write the path of a file, a template, or "none"'
        refuse(what, hint, setting="chat_template")
