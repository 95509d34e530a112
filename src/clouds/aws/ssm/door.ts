import { rmSync, statSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { ensurePrivateFolder } from "../../../platform/private-folder.ts";
import { SessionGoneError, type Stream } from "../../../session-manager/carry.ts";
import {
  lineReader,
  type DoorAnswer,
  type DoorError,
  type DoorRequest,
} from "../../../session-manager/door-protocol.ts";
import { SkyError } from "../../../shared/errors.ts";

/** What is done for those at the door. */
export interface DoorCalls {
  start(instance: string, region: string): Promise<Stream>;
  resume(instance: string, region: string, sessionId: string): Promise<Stream>;
  end(instance: string, region: string, sessionId: string): Promise<void>;
}

/**
 * A socket of this user alone, at which the proxies that ssh starts ask for sessions: so the credentials stay in the server, whatever kind
 * they are, and tokens are in no argument, variable, file or database. A session whose proxy is gone is ended.
 */
export class Door {
  readonly path: string;
  readonly #calls: DoorCalls;
  #server: Promise<Server> | undefined;

  /** `path`: short, and in a folder for it alone. */
  constructor(path: string, calls: DoorCalls) {
    this.path = path;
    this.#calls = calls;
  }

  /** Opens the door, once. It does not keep the process from ending. */
  async open(): Promise<void> {
    this.#server ??= this.#listen();
    await this.#server;
  }

  async #listen(): Promise<Server> {
    ensurePrivateFolder(dirname(this.path));
    // Of a server before this one; two at a time are kept apart by the lock on the state.
    rmSync(this.path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.path, resolve);
    }).catch((error: unknown) => {
      this.#server = undefined;
      throw error;
    });
    server.unref();
    const { ino } = statSync(this.path);
    // Not the door of a server that came after this one.
    process.once("exit", () => {
      if (statSync(this.path, { throwIfNoEntry: false })?.ino === ino) rmSync(this.path, { force: true });
    });
    return server;
  }

  #serve(socket: Socket): void {
    const open = new Map<string, DoorRequest>();
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on(
      "data",
      lineReader((line) => {
        const request = parseRequest(line);
        if (request === undefined) return void socket.destroy();
        void this.#answer(request, open).then((answer) => {
          if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
        });
      }),
    );
    socket.once("close", () => {
      for (const [sessionId, { instance, region }] of open) {
        // Nobody is there to be told; a session that cannot be ended ends by itself, for want of traffic.
        void this.#calls.end(instance, region, sessionId).catch(() => undefined);
      }
    });
  }

  async #answer(request: DoorRequest, open: Map<string, DoorRequest>): Promise<DoorAnswer> {
    const { id } = request;
    try {
      return { id, ...(await this.#obey(request, open)) };
    } catch (error) {
      return { id, error: toDoorError(error) };
    }
  }

  async #obey(request: DoorRequest, open: Map<string, DoorRequest>): Promise<{ readonly stream?: Stream }> {
    const { call, instance, region, sessionId = "" } = request;
    switch (call) {
      case "start": {
        const stream = await this.#calls.start(instance, region);
        open.set(stream.sessionId, request);
        return { stream };
      }
      case "resume":
        open.set(sessionId, request);
        return { stream: await this.#calls.resume(instance, region, sessionId) };
      case "end":
        open.delete(sessionId);
        await this.#calls.end(instance, region, sessionId);
        return {};
    }
  }
}

/** Undefined for what no proxy of ours says. */
function parseRequest(line: string): DoorRequest | undefined {
  try {
    const request = JSON.parse(line) as Partial<DoorRequest> | null;
    if (typeof request?.id !== "number" || typeof request.instance !== "string") return undefined;
    return { region: "", call: "end", ...request, id: request.id, instance: request.instance };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

function toDoorError(error: unknown): DoorError {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof SkyError ? error.hint : undefined;
  return { message, isGone: error instanceof SessionGoneError, ...(hint === undefined ? {} : { hint }) };
}
