import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { openConnection } from "./ssh-door.ts";

test("a long upload through a slow pipe leaves no listeners behind, and ends with the program", async () => {
  const child = spawn("/bin/sh", ["-c", "sleep 0.1; head -c 4000000 | wc -c"], { stdio: ["pipe", "pipe", "pipe"] });
  const connection = await openConnection(child, new AbortController().signal);
  const before = child.stdin.listenerCount("close") + child.stdin.listenerCount("error");
  for (let count = 0; count < 40; count += 1) await connection.write(Buffer.alloc(100_000));
  expect(child.stdin.listenerCount("close") + child.stdin.listenerCount("error")).toBe(before);
  let text = "";
  for await (const bytes of connection.chunks) text += Buffer.from(bytes).toString();
  expect(text.trim()).toBe("4000000");
  // Nobody reads any more: what is written is dropped, and nothing waits for room.
  for (let count = 0; count < 5; count += 1) await connection.write(Buffer.alloc(100_000));
});
