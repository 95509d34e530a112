import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Server } from "node:net";
import { PassThrough } from "node:stream";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openSessionManager, type Endpoint } from "../../test/support/session-manager/endpoint.ts";
import { systemClock } from "../shared/clock.ts";
import { carry, type Sessions, type Stream } from "./carry.ts";

let port: Server;
let endpoint: Endpoint;

/** Asks as the API server does. */
function sessionsOf({ service }: Endpoint): Sessions {
  const ask = async (operation: string, input: Record<string, unknown>): Promise<Stream> => {
    const answer = await service.call(operation, input);
    const body = answer?.body as Record<string, string>;
    if (answer?.status !== 200) throw new Error(body["message"]);
    const { SessionId = "", StreamUrl: url = "", TokenValue: token = "" } = body;
    return { sessionId: SessionId, url, token, headers: {} };
  };
  return {
    start: () => ask("StartSession", { Target: "i-1", Parameters: { portNumber: ["22"] } }),
    resume: (SessionId) => ask("ResumeSession", { SessionId }),
    end: async (SessionId) => void service.call("TerminateSession", { SessionId }),
  };
}

interface Carried {
  readonly input: PassThrough;
  readonly output: PassThrough;
  readonly notices: string[];
  readonly done: Promise<void>;
}

function carried(sessions = sessionsOf(endpoint)): Carried {
  const [input, output, notices] = [new PassThrough(), new PassThrough(), [] as string[]];
  const done = carry({
    sessions,
    target: "i-1",
    input,
    output,
    notice: (text) => notices.push(text),
    env: {},
    clock: systemClock,
    signal: new AbortController().signal,
  });
  done.catch(() => undefined);
  return { input, output, notices, done };
}

/** Sends bytes to a port that sends everything back; resolves when all of them came. */
async function roundTrip(bytes: Buffer): Promise<{ readonly hash: string; readonly length: number }> {
  const { input, output, done } = carried();
  const hash = createHash("sha256");
  let length = 0;
  input.write(bytes);
  for await (const chunk of output) {
    hash.update(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length >= bytes.length) break;
  }
  input.end();
  await done;
  return { hash: hash.digest("hex"), length };
}

describe("a connection through Session Manager", () => {
  beforeAll(async () => {
    port = createServer((socket) => void socket.on("error", () => socket.destroy()).pipe(socket));
    await once(port.listen(0, "127.0.0.1"), "listening");
    endpoint = await openSessionManager({
      dial: async () => {
        const socket = createConnection((port.address() as AddressInfo).port, "127.0.0.1");
        await once(socket, "connect");
        return socket;
      },
      isOnline: async (target) => target === "i-1",
    });
  });
  afterAll(async () => {
    await endpoint.close();
    port.close();
  });
  afterEach(() => {
    expect(endpoint.service.complaints).toEqual([]);
    endpoint.service.calm();
    endpoint.service.moreActions = [];
  });

  it("carries bytes both ways and ends the session", async () => {
    const bytes = randomBytes(300_000);
    expect(await roundTrip(bytes)).toEqual({ hash: createHash("sha256").update(bytes).digest("hex"), length: 300_000 });
    expect(endpoint.service.sessions.at(-1)).toMatchObject({
      state: "terminated",
      resumes: 0,
      clientVersion: "1.2.0.0",
    });
  });

  it.each([
    ["loss", { loss: 0.05 }],
    ["duplication", { duplication: 0.3 }],
    ["reordering", { reordering: 0.3 }],
    ["pauses", { pauseEveryBytes: 20_000, pauseMs: 20 }],
    ["broken connections", { cutEveryBytes: 50_000 }],
    [
      "everything",
      { loss: 0.02, duplication: 0.1, reordering: 0.1, pauseEveryBytes: 40_000, pauseMs: 20, cutEveryBytes: 90_000 },
    ],
  ])("stays whole under %s", async (_name, weather) => {
    Object.assign(endpoint.service.weather, weather);
    const bytes = randomBytes(60_000);
    expect(await roundTrip(bytes)).toEqual({ hash: createHash("sha256").update(bytes).digest("hex"), length: 60_000 });
    const seen = endpoint.service.sessions.at(-1);
    expect((seen?.cuts ?? 0) > 0).toBe("cutEveryBytes" in weather);
    expect((seen?.pauses ?? 0) > 0).toBe("pauseEveryBytes" in weather);
  });
});
