/**
 * Load on an API server, by a process of its own: keep-alive connections over plain sockets, one request in flight on each, so
 * that the generator costs little beside what it measures. Prints one JSON line. Usage:
 * `node bench/reference-load.ts <port> health|status <clients> <seconds> [warm-up requests]`
 */
import { connect, type Socket } from "node:net";

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly bytes: number;
}

/** One keep-alive connection that sends a request and reads its answer, by Content-Length or chunked. */
class Connection {
  readonly #socket: Socket;
  #data: Buffer = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended: Error | undefined;

  constructor(port: number) {
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#socket.on("data", (piece: Buffer) => {
      this.#data = this.#data.length === 0 ? piece : Buffer.concat([this.#data, piece]);
      this.#wake?.();
    });
    for (const event of ["error", "close"]) {
      this.#socket.on(event, () => {
        this.#ended = new Error("The server closed the connection.");
        this.#wake?.();
      });
    }
  }

  async send(request: string | Buffer): Promise<Answer> {
    this.#socket.write(request);
    let end = this.#data.indexOf("\r\n\r\n");
    while (end < 0) {
      await this.#more();
      end = this.#data.indexOf("\r\n\r\n");
    }
    const head = this.#data.toString("latin1", 0, end);
    this.#data = this.#data.subarray(end + 4);
    const length = /^content-length: *(\d+)/imu.exec(head)?.[1];
    const bytes = length === undefined ? await this.#readChunks() : await this.#readLength(Number(length));
    return { status: Number(head.slice(9, 12)), head, bytes };
  }

  close(): void {
    this.#socket.destroy();
  }

  async #readLength(length: number): Promise<number> {
    // A long body is dropped piece by piece: joining its pieces again and again would cost more than the server's work.
    let left = length;
    for (;;) {
      const taken = Math.min(left, this.#data.length);
      this.#data = this.#data.subarray(taken);
      left -= taken;
      if (left === 0) return length;
      await this.#more();
    }
  }

  async #readChunks(): Promise<number> {
    for (let total = 0; ;) {
      let end = this.#data.indexOf("\r\n");
      while (end < 0) {
        await this.#more();
        end = this.#data.indexOf("\r\n");
      }
      const size = Number.parseInt(this.#data.toString("latin1", 0, end), 16);
      this.#data = this.#data.subarray(end + 2);
      await this.#readLength(size + 2);
      if (size === 0) return total;
      total += size;
    }
  }

  async #more(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

const BODY = JSON.stringify({
  env_vars: { SKYPILOT_USER_ID: "b0b0b0b0", SKYPILOT_USER: "bench", SKYPILOT_USAGE_RUN_ID: "bench" },
  entrypoint: "sky.client.cli.command.status",
  entrypoint_command: "sky status",
  using_remote_api_server: false,
  override_skypilot_config: {},
  cluster_names: null,
  refresh: "NONE",
  all_users: true,
  include_credentials: false,
  summary_response: true,
  include_handle: true,
});
const HEAD = "Host: 127.0.0.1\r\nX-SkyPilot-API-Version: 62\r\nX-SkyPilot-Version: 0.14.1\r\n";
const HEALTH = Buffer.from(`GET /api/health HTTP/1.1\r\n${HEAD}\r\n`);
const STATUS = Buffer.from(
  `POST /status HTTP/1.1\r\n${HEAD}Content-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
);

function expectOk(answer: Answer): Answer {
  if (answer.status !== 200) throw new Error(`The server answered ${answer.status}.`);
  return answer;
}

async function once(connection: Connection, mode: string): Promise<number> {
  if (mode === "health") return expectOk(await connection.send(HEALTH)).bytes;
  const { head } = expectOk(await connection.send(STATUS));
  const id = /^x-skypilot-request-id: *(\S+)/imu.exec(head)?.[1] ?? "";
  return expectOk(await connection.send(`GET /api/get?request_id=${id} HTTP/1.1\r\n${HEAD}\r\n`)).bytes;
}

const [port = "0", mode = "health", clients = "1", seconds = "5", warmUp = "0"] = process.argv.slice(2);
const connections = Array.from({ length: Number(clients) }, () => new Connection(Number(port)));
for (let done = 0; done < Number(warmUp); done += connections.length) {
  await Promise.all(connections.map((connection) => once(connection, mode)));
}
const latencies: number[] = [];
let bytes = 0;
const started = performance.now();
const deadline = started + Number(seconds) * 1000;
await Promise.all(
  connections.map(async (connection) => {
    for (let from = performance.now(); from < deadline;) {
      bytes = await once(connection, mode);
      const to = performance.now();
      latencies.push(to - from);
      from = to;
    }
  }),
);
const elapsedMs = performance.now() - started;
for (const connection of connections) connection.close();
const sorted = latencies.toSorted((a, b) => a - b);
const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
console.log(
  JSON.stringify({
    perSecond: (latencies.length * 1000) / elapsedMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    answerBytes: bytes,
  }),
);
