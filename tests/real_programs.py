"""Real programs with a wallet, against a provider of this machine: installs and runs them all.

Usage: python tests/real_programs.py [--folder FOLDER] [NAME ...]

Needs pip, and npm for some; needs no key. Each program makes its calls twice: with a limit of
$5, when each billed call must be one row with the provider's figures, and with one of a millionth,
when nothing may reach the provider and the person must see the message. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent / "support"))

import provider as loopback

from budgetledger import Ledger

KEYS = {
    "OPENAI_API_KEY": "sk-proj-made-up-0123456789-0123456789",
    "CODEX_API_KEY": "sk-proj-made-up-0123456789-0123456789",
    "ANTHROPIC_API_KEY": "sk-ant-api03-made-up-0123456789-0123456789",
    "GEMINI_API_KEY": "AIzaSyMadeUp0123456789MadeUp0123456789",
}
SAY = "Say something short."
MESSAGE = "raise it: budgetledger run --limit"
LONGEST = 150  # seconds for one run


class Program(NamedTuple):
    """``installs`` by pip, or by npm if ``is_node``; ``command`` from its folder.

    ``files``: written to its home folder. ``variables``: beside the keys.
    """

    name: str
    installs: tuple[str, ...]
    is_node: bool
    command: Callable[[Path], list[str]]
    variables: Mapping[str, str] = MappingProxyType({})
    files: Mapping[str, str] = MappingProxyType({})


def python(code: str) -> Callable[[Path], list[str]]:
    return lambda folder: [str(folder / "bin" / "python"), "-c", code]


def node(code: str) -> Callable[[Path], list[str]]:
    def command(folder: Path) -> list[str]:
        script = folder / f"program-{abs(hash(code))}.mjs"
        script.write_text(code)
        return ["node", str(script)]

    return command


def binary(name: str, *arguments: str) -> Callable[[Path], list[str]]:
    def command(folder: Path) -> list[str]:
        inner = folder / "bin" / name
        return [str(inner if inner.exists() else folder / "node_modules/.bin" / name), *arguments]

    return command


OPENAI_PY = """
from openai import OpenAI
client = OpenAI()
messages = [{"role": "user", "content": "Hi"}]
print(client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message.content)
for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
    print(chunk.choices[0].delta.content, end="")
print(client.responses.create(model="gpt-4o", input="Hi").output_text)
"""
ANTHROPIC_PY = """
from anthropic import Anthropic
client = Anthropic()
messages = [{"role": "user", "content": "Hi"}]
call = {"model": "claude-opus-4-5", "max_tokens": 50, "messages": messages}
print(client.messages.create(**call).content[0].text)
with client.messages.stream(**call) as stream:
    print(stream.get_final_text())
"""
GOOGLE_PY = """
from google import genai
client = genai.Client()
print(client.models.generate_content(model="gemini-2.5-flash", contents="Hi").text)
for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents="Hi"):
    print(chunk.text, end="")
"""
LITELLM_PY = """
import litellm
messages = [{"role": "user", "content": "Hi"}]
for model in "gpt-4o", "anthropic/claude-opus-4-5", "gemini/gemini-2.5-flash":
    for stream in False, True:
        answer = litellm.completion(model, messages, max_tokens=50, stream=stream)
        print(list(answer)[-1] if stream else answer.choices[0].message.content)
"""
OPENAI_JS = """
import OpenAI from "openai";
const client = new OpenAI(), messages = [{role: "user", content: "Hi"}];
const answer = await client.chat.completions.create({model: "gpt-4o", messages});
console.log(answer.choices[0].message.content);
const stream = await client.chat.completions.create({model: "gpt-4o", messages, stream: true});
for await (const chunk of stream) console.log(chunk.choices[0].delta.content);
"""
ANTHROPIC_JS = """
import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic();
const call = {model: "claude-opus-4-5", max_tokens: 50, messages: [{role: "user", content: "Hi"}]};
console.log((await client.messages.create(call)).content[0].text);
console.log(await client.messages.stream(call).finalText());
"""
GOOGLE_JS = """
import {GoogleGenAI} from "@google/genai";
const client = new GoogleGenAI({apiKey: process.env.GEMINI_API_KEY});
const call = {model: "gemini-2.5-flash", contents: "Hi"};
console.log((await client.models.generateContent(call)).text);
for await (const chunk of await client.models.generateContentStream(call)) console.log(chunk.text);
"""
GEMINI_SETTINGS = json.dumps(
    {"security": {"auth": {"selectedType": "gemini-api-key"}}, "telemetry": {"enabled": False}}
)
AIDER = ("--no-git", "--yes-always", "--no-check-update", "--no-show-model-warnings",
         "--no-show-release-notes", "--analytics-disable", "--no-gitignore",
         "--message", SAY)  # fmt: skip
PROGRAMS = (
    Program("openai (Python)", ("openai",), False, python(OPENAI_PY)),
    Program("anthropic (Python)", ("anthropic",), False, python(ANTHROPIC_PY)),
    Program("google-genai (Python)", ("google-genai",), False, python(GOOGLE_PY)),
    Program("litellm", ("litellm",), False, python(LITELLM_PY),
            {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
    Program("openai (Node)", ("openai",), True, node(OPENAI_JS)),
    Program("anthropic (Node)", ("@anthropic-ai/sdk",), True, node(ANTHROPIC_JS)),
    Program("google-genai (Node)", ("@google/genai",), True, node(GOOGLE_JS)),
    Program("llm", ("llm",), False, binary("llm", "-m", "gpt-4o", SAY)),
    Program("aider, OpenAI", ("aider-chat",), False, binary("aider", "--model", "gpt-4o", *AIDER),
            {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
    Program("aider, Anthropic", ("aider-chat",), False,
            binary("aider", "--model", "anthropic/claude-sonnet-4-5", *AIDER),
            {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
    Program("Claude Code", ("@anthropic-ai/claude-code",), True,
            binary("claude", "-p", SAY, "--model", "claude-sonnet-4-5"),
            {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}),
    Program("codex", ("@openai/codex",), True,
            binary("codex", "exec", "--skip-git-repo-check", "-m", "gpt-5", SAY)),
    Program("gemini-cli", ("@google/gemini-cli",), True,
            binary("gemini", "-p", SAY, "-m", "gemini-2.5-flash", "--skip-trust"), {},
            {".gemini/settings.json": GEMINI_SETTINGS}),
    Program("opencode", ("opencode-ai",), True,
            binary("opencode", "run", "-m", "openai/gpt-4o", SAY)),
)  # fmt: skip


def installed(program: Program, root: Path) -> Path:
    """The folder with the program: a virtual environment, or that of npm."""
    folder = root / ("node" if program.is_node else "-".join(program.installs))
    mark = folder / f".installed-{re.sub('[^a-z]', '-', '-'.join(program.installs))}"
    if mark.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if program.is_node:
        (folder / "package.json").touch()
        command = ["npm", "install", "--no-audit", "--no-fund", *program.installs]
        if not (folder / "package.json").read_text():
            (folder / "package.json").write_text('{"name": "programs", "private": true}')
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        command = [str(folder / "bin" / "pip"), "install", "-q", *program.installs]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program.name}: {done.stderr[-2000:]}")
    mark.touch()
    return folder


class Outcome(NamedTuple):
    """How a run of a program ended."""

    code: int
    text: str
    seconds: float
    billed: list[loopback.Billed]
    rows: list[Any]


def run(program: Program, folder: Path, limit: str) -> Outcome:
    """Run *program* with a wallet of that *limit*, in a home folder of its own."""
    with tempfile.TemporaryDirectory() as home, loopback.serving() as provider:
        for name, text in program.files.items():
            (Path(home) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(home) / name).write_text(text)
        around = {
            "PATH": os.environ["PATH"], "HOME": home, "TERM": "dumb", "LANG": "C.UTF-8",
            "OPENAI_BASE_URL": provider.openai_url, "ANTHROPIC_BASE_URL": provider.url,
            "GOOGLE_GEMINI_BASE_URL": provider.url, "BUDGETLEDGER_DB": f"{home}/spend.db",
            **KEYS, **program.variables,
        }  # fmt: skip
        command = [sys.executable, "-m", "budgetledger", "run", "--limit", limit, "--wait", "5"]
        started = time.monotonic()
        try:
            done = subprocess.run(
                [*command, "--", *program.command(folder)], cwd=home, env=around,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, timeout=LONGEST,
            )  # fmt: skip
            code, text = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            shown = error.stdout or b""
            code, text = -1, shown.decode() if isinstance(shown, bytes) else shown
        with Ledger(f"{home}/spend.db") as ledger:
            rows = [entry for entry in ledger.entries() if entry.kind == "settle"]
        return Outcome(code, text, time.monotonic() - started, provider.billed, rows)


def judged(program: Program, folder: Path, is_verbose: bool) -> tuple[str, ...]:
    """The row of the table for a program."""
    paid, refused = run(program, folder, "5"), run(program, folder, "0.000001")
    counted = [one for one in paid.billed if "count_tokens" not in one.path and
               not one.path.endswith("/moderations")]  # fmt: skip
    is_exact = len(counted) == len(paid.rows) and all(
        (row.input_tokens, row.output_tokens, row.cost_basis) == (8, 5, "stated")
        for row in paid.rows
    )
    tries = re.search(r"(\d+) refused", refused.text)
    is_seen = MESSAGE in re.sub(r"\s+", " ", refused.text.split("budgetledger: refused", 1)[0]) or (
        refused.text.count(MESSAGE) > 1
    )
    if is_verbose:
        print(f"--- {program.name}\n{paid.text[-3000:]}\n--- refused\n{refused.text[-3000:]}")
    return (
        program.name,
        f"{len(counted)} calls, {len(paid.rows)} rows{'' if is_exact else ' (DIFFER)'}",
        f"exit {paid.code}, {paid.seconds:.0f} s",
        f"{tries[1] if tries else '?'} refused, {len(refused.billed)} sent",
        "message seen" if is_seen else "MESSAGE NOT SEEN",
        f"exit {refused.code}, {refused.seconds:.0f} s",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of programs; all by default")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "programs")
    parser.add_argument("--verbose", action="store_true", help="show what they print")
    options = parser.parse_args()
    for program in PROGRAMS:
        if options.names and not any(name in program.name for name in options.names):
            continue
        if program.is_node and shutil.which("npm") is None:
            print(f"{program.name}: npm is missing")
            continue
        row = judged(program, installed(program, options.folder), options.verbose)
        print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main()
