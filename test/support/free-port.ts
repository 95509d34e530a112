import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below the ports that the kernel gives out: whoever asks it for any port does not get one of these before its program listens. */
const PORTS = [15_000, 32_000] as const;

const given = new Set<number>();

/** A port of this machine that nobody listens on, and that this process has not given out before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    });
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
