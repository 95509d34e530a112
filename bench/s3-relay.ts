/**
 * Stands before an S3 server and answers as slowly as Amazon's: `node s3-relay.ts LISTEN_ADDRESS PORT SERVER_ADDRESS PORT DELAY_MS RATE_MB`. Each
 * connection carries RATE_MB megabytes a second at most, and whatever comes back is late by DELAY_MS.
 */
import { connect, createServer, type Socket } from "node:net";

/** What a connection holds that is not due yet, as a receive window does. */
const WINDOW = 4 * 1024 * 1024;

class SlowWay {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #queue: { readonly bytes: Buffer; readonly due: number }[] = [];
  readonly #link: { readonly delayMs: number; readonly bytesPerMs: number };
  #freeAt = 0;
  #held = 0;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, link: { readonly delayMs: number; readonly bytesPerMs: number }) {
    this.#from = from;
    this.#to = to;
    this.#link = link;
    from.on("data", (bytes) => this.#take(bytes));
    from.on("end", () => {
      this.#isOver = true;
      this.#flush();
    });
  }

  #take(bytes: Buffer): void {
    const now = performance.now();
    this.#freeAt = Math.max(now, this.#freeAt) + bytes.length / this.#link.bytesPerMs;
    this.#queue.push({ bytes, due: this.#freeAt + this.#link.delayMs });
    this.#held += bytes.length;
    if (this.#held >= WINDOW) this.#from.pause();
    this.#timer ??= setTimeout(() => this.#flush(), (this.#queue[0]?.due ?? now) - now);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = performance.now();
    for (let next = this.#queue[0]; next !== undefined && next.due <= now; next = this.#queue[0]) {
      this.#queue.shift();
      this.#held -= next.bytes.length;
      this.#to.write(next.bytes);
    }
    if (this.#held < WINDOW) this.#from.resume();
    const next = this.#queue[0];
    if (next !== undefined) this.#timer = setTimeout(() => this.#flush(), next.due - now);
    else if (this.#isOver) this.#to.end();
  }
}

const [address = "", port, server = "", serverPort, delayMs, rateMb] = process.argv.slice(2);
const link = { delayMs: Number(delayMs), bytesPerMs: Number(rateMb) * 1000 };
createServer((client) => {
  const upstream = connect(Number(serverPort), server);
  for (const socket of [client, upstream]) socket.setNoDelay(true);
  client.pipe(upstream);
  const way = new SlowWay(upstream, client, link);
  const end = (): void => {
    client.destroy();
    upstream.destroy();
  };
  client.on("error", end).on("close", end);
  upstream.on("error", end);
  return way;
}).listen(Number(port), address, () => process.stdout.write("ready\n"));
