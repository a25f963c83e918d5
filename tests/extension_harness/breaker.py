# SPDX-License-Identifier: Apache-2.0
"""A network between the program and its origin that drops connections, at moments that a seed decides."""
import asyncio
import random
import threading

CUT_EVERY = 5  # one connection in so many is cut
MOST_BYTES = 400_000  # after at most so many bytes of answers


class Breaker:
    """Listens on `address`, passes everything on to the origin on `port`."""

    def __init__(self, port, seed):
        self.port, self.chance, self.cuts, self.tasks = port, random.Random(seed), 0, set()
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    async def _serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        left = self.chance.randrange(MOST_BYTES) if self.chance.randrange(CUT_EVERY) == 0 else None
        upstream = None
        try:
            from_origin, upstream = await asyncio.open_connection("127.0.0.1", self.port)
            asking = asyncio.create_task(self._pass_on(reader, upstream))
            self.tasks.add(asking)
            while data := await from_origin.read(65_536):
                if left is not None and len(data) >= left:
                    writer.write(data[:left])
                    self.cuts += 1
                    break
                left = None if left is None else left - len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # the program has ended, or the origin
        finally:
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()
            self.tasks.discard(asyncio.current_task())

    async def _pass_on(self, reader, upstream):
        try:
            while data := await reader.read(65_536):
                upstream.write(data)
                await upstream.drain()
        except OSError:
            pass
        finally:
            upstream.transport.abort()  # who asked has left
            self.tasks.discard(asyncio.current_task())

    def close(self):
        async def end():
            self.server.close()
            for task in list(self.tasks):
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await asyncio.sleep(0)  # aborted transports close their sockets in the loop's next turn
        asyncio.run_coroutine_threadsafe(end(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
