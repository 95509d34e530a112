import type { Readable } from "node:stream";

/** What a login may print before our script begins; more than that is not a login but a program. */
const MAX_NOISE = 4 * 1024 * 1024;

/**
 * Drops the output up to and including the line `marker`. Answers whether it came before the stream ended; what follows it is
 * still to be read, from a stream that is paused.
 */
export function readUntilMarker(stream: Readable, marker: string): Promise<boolean> {
  const wanted = Buffer.from(`\n${marker}\n`);
  return new Promise((resolve) => {
    let tail = Buffer.alloc(0);
    let seen = 0;
    const finish = (hasBegun: boolean): void => {
      stream.off("data", onData);
      stream.off("close", onEnd);
      stream.off("end", onEnd);
      if (hasBegun) stream.pause();
      resolve(hasBegun);
    };
    const onEnd = (): void => finish(false);
    const onData = (chunk: Buffer): void => {
      const all = Buffer.concat([tail, chunk]);
      const at = all.indexOf(wanted);
      seen += chunk.length;
      if (at === -1) {
        tail = all.subarray(Math.max(0, all.length - wanted.length));
        if (seen > MAX_NOISE) stream.destroy();
        return;
      }
      finish(true);
      const rest = all.subarray(at + wanted.length);
      if (rest.length > 0) stream.unshift(rest);
    };
    stream.on("data", onData);
    stream.on("end", onEnd);
    stream.on("close", onEnd);
    stream.resume();
  });
}
