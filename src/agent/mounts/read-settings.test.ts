import { expect, test } from "vitest";
import { memoryGib, readSettings } from "./read-settings.ts";

const reader = { version: [1, 75], memoryGib: 16 } as const;
test.each([
  ["as rclone does by itself", reader, {}, {}],
  [
    "in streams that the task asks for",
    reader,
    { readChunkStreams: 16, readChunkSize: "32M" },
    { "vfs-read-chunk-size": "32M", "vfs-read-chunk-streams": 16 },
  ],
  [
    "in streams of no size",
    reader,
    { readChunkStreams: 4 },
    { "vfs-read-chunk-size": "8M", "vfs-read-chunk-streams": 4 },
  ],
  ["in one stream that the task asks for", reader, { readChunkStreams: 0 }, {}],
  ["with little memory", { ...reader, memoryGib: 2 }, {}, { "buffer-size": "4M" }],
  [
    "with little memory, and what the task says",
    { ...reader, memoryGib: 2 },
    { bufferSize: "32M" },
    { "buffer-size": "32M" },
  ],
  ["by a release without streams", { ...reader, version: [1, 60] as const }, { readChunkStreams: 16 }, {}],
])("reading: %s", (_name, by, cache, wanted) => {
  const settings = readSettings(by, cache);
  expect(Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))).toEqual(wanted);
});

test("memory is what there is", () => {
  expect(memoryGib()).toBeGreaterThan(0.1);
  expect(memoryGib()).toBeLessThan(100_000);
});
