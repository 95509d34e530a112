import * as fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrame, FrameDecoder, FrameError, MAX_PAYLOAD_BYTES } from "./frames.ts";

interface Seen {
  readonly header: unknown;
  readonly payload: string;
}

function decode(chunks: readonly Uint8Array[]): { frames: Seen[]; isAtBoundary: boolean } {
  const frames: Seen[] = [];
  let pieces: Uint8Array[] = [];
  const decoder = new FrameDecoder((header, piece, isLast) => {
    pieces.push(piece);
    if (!isLast) return;
    frames.push({ header, payload: Buffer.concat(pieces).toString("hex") });
    pieces = [];
  });
  for (const chunk of chunks) decoder.push(chunk);
  return { frames, isAtBoundary: decoder.isAtBoundary };
}

test("frames come back whatever the cuts", () => {
  const frame = fc.record({
    header: fc.dictionary(fc.string(), fc.jsonValue()),
    payload: fc.uint8Array({ maxLength: 9000 }),
  });
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 5000 })),
      (sent, cuts) => {
        const wire = Buffer.concat(sent.flatMap(({ header, payload }) => encodeFrame(header, payload)));
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < wire.length;) {
          const size = cuts.next().value ?? 1;
          chunks.push(wire.subarray(at, at + size));
          at += size;
        }
        const { frames, isAtBoundary } = decode(chunks);
        expect(isAtBoundary).toBe(true);
        expect(frames).toEqual(
          sent.map(({ header, payload }) => ({
            header: JSON.parse(JSON.stringify(header)) as unknown,
            payload: Buffer.from(payload).toString("hex"),
          })),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test("a payload passes through without a copy", () => {
  const payload = new Uint8Array(100_000).fill(7);
  const wire = Buffer.concat(encodeFrame({ t: "data" }, payload));
  const pieces: Uint8Array[] = [];
  new FrameDecoder((_header, piece) => pieces.push(piece)).push(wire);
  expect(pieces).toHaveLength(1);
  expect(pieces[0]?.buffer).toBe(wire.buffer);
});

test("lengths over the limits and text that is not JSON are refused", () => {
  expect(() => encodeFrame({}, new Uint8Array(MAX_PAYLOAD_BYTES + 1))).toThrow(FrameError);
  expect(() => decode([Buffer.from("GET / HTTP/1.1\r\n\r\n")])).toThrow("does not speak the agent protocol");
  expect(() => decode([Buffer.from([0, 0, 0, 2, 0, 0, 0, 0, 0x7b, 0x7b])])).toThrow("not JSON");
});

test("a stream that was cut off is known by its boundary", () => {
  const [wire] = encodeFrame({ t: "call" });
  expect(decode([(wire ?? Buffer.alloc(0)).subarray(0, 9)]).isAtBoundary).toBe(false);
});
