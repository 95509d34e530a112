import { Duplex } from "node:stream";
import type { SshChild } from "./child.ts";

/** One stream over a program's input and output; destroying it ends the program. */
export function duplexOfChild(child: SshChild): Duplex {
  const stream = new Duplex({
    read: () => void child.stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => void child.stdin.write(chunk, done),
    writev: (chunks, done) => void child.stdin.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => void child.stdin.end(done),
    destroy: (error, done) => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.kill("SIGKILL");
      done(error);
    },
  });
  child.stdout.on("data", (chunk: Buffer) => {
    if (!stream.push(chunk)) child.stdout.pause();
  });
  child.stdout.on("end", () => stream.push(null));
  // A lost connection is an end, as with a socket; what it meant is for whoever reads.
  child.stdout.on("close", () => stream.destroy());
  child.stdin.on("error", () => stream.destroy());
  return stream;
}
