"""Requests a second and memory of the LLM extractor, 64 in flight against a local server.

`python -m tests.bench.ner_llm --captions 100000` starts a server in a process of its own that
answers at once, and prints the extractor's rate and resident memory as it goes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import time
from multiprocessing.connection import Connection

import psutil

from ner.config import LlmConfig
from ner.llm.extractor import LlmExtractor

_UNIT = 500


def _answer(body: bytes) -> bytes:
    caption = json.loads(json.loads(body)["messages"][-1]["content"])["caption"]
    mention = {"text": caption.split()[0], "kind": "object", "polarity": "affirmed", "concept": ""}
    message = {"role": "assistant", "content": json.dumps({"mentions": [mention]})}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    reply: dict[str, object] = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [choice],
    }
    payload = json.dumps(reply).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}"
    return head.encode() + b"\r\n\r\n" + payload


async def _client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            writer.write(_answer(await reader.readexactly(length)))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _serve(port: Connection) -> None:
    async def run() -> None:
        server = await asyncio.start_server(_client, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def main() -> None:
    """Print one line per tenth of the captions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captions", type=int, default=5000)
    arguments = parser.parse_args()
    receiver, sender = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(sender,), daemon=True
    )
    server.start()
    url = f"http://127.0.0.1:{receiver.recv()}/v1"
    extractor = LlmExtractor(LlmConfig(base_url=url, model="m", in_flight=64))
    me = psutil.Process()
    begin, cpu, done = time.perf_counter(), time.process_time(), 0
    while done < arguments.captions:
        answers = extractor([f"nuclei of caption {done + i}" for i in range(_UNIT)])
        assert all(answer.problem is None and answer.spans for answer in answers)
        done += _UNIT
        if done % max(_UNIT, arguments.captions // 10) == 0:
            print(
                f"{done:>7} captions, {done / (time.perf_counter() - begin):.0f}/s, "
                f"{done / (time.process_time() - cpu):.0f}/s of CPU time, "
                f"{me.memory_info().rss / 2**20:.0f} MB"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak {peak:.0f} MB, counts {dict(extractor.counts)}")
    server.terminate()


if __name__ == "__main__":
    main()
