import { expect, test } from "vitest";
import { agentSocket, agentSocketPath } from "./socket-path.ts";

test("the socket lies in the root", () => {
  expect(agentSocket("/home/me/.sky/local/c1/0/agent", 1000)).toEqual({
    path: "/home/me/.sky/local/c1/0/agent/agent.sock",
  });
});

test("roots too long for the kernel get short, distinct, stable names in a private folder", () => {
  const long = `/${"x".repeat(120)}`;
  const path = agentSocketPath(long, 1000);
  expect(path).toMatch(/^\/tmp\/sky-agents-1000\/[0-9a-f]{32}\.sock$/);
  expect(agentSocketPath(long, 1000)).toBe(path);
  expect(agentSocketPath(`${long}y`, 1000)).not.toBe(path);
  expect(agentSocket(long, 1000).privateDirectory).toBe("/tmp/sky-agents-1000");
});
