import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BrokenFrameError, decodeMessage, encodeMessage, newMessage, PAYLOAD } from "./message.ts";

const uuid = fc.uuid();

describe("frames", () => {
  it("have the header that the service expects", () => {
    const payload = Buffer.from("SSH-2.0-x\r\n");
    const frame = encodeMessage(
      newMessage({
        type: "input_stream_data",
        createdMs: 1_700_000_000_000,
        sequence: 7,
        flags: 1,
        id: "00112233-4455-6677-8899-aabbccddeeff",
        payloadType: PAYLOAD.output,
        payload,
      }),
    );
    expect(frame.readUInt32BE(0)).toBe(116);
    expect(frame.toString("latin1", 4, 36)).toBe("input_stream_data               ");
    expect(frame.readUInt32BE(36)).toBe(1);
    expect(frame.readBigUInt64BE(40)).toBe(1_700_000_000_000n);
    expect(frame.readBigInt64BE(48)).toBe(7n);
    expect(frame.readBigUInt64BE(56)).toBe(1n);
    // The lower half of a UUID goes first.
    expect(frame.toString("hex", 64, 80)).toBe("8899aabbccddeeff0011223344556677");
    expect(frame.subarray(80, 112)).toEqual(createHash("sha256").update(payload).digest());
    expect(frame.readUInt32BE(112)).toBe(PAYLOAD.output);
    expect(frame.readUInt32BE(116)).toBe(payload.length);
    expect(frame.subarray(120)).toEqual(payload);
  });

  it("are read as they were written", () => {
    fc.assert(
      fc.property(
        fc.record({
          id: uuid,
          sequence: fc.nat(),
          createdMs: fc.nat(),
          flags: fc.integer({ min: 0, max: 3 }),
          payloadType: fc.nat(20),
          payload: fc.uint8Array({ maxLength: 2000 }),
        }),
        (parts) => {
          const message = newMessage({ type: "output_stream_data", ...parts, payload: Buffer.from(parts.payload) });
          expect(decodeMessage(encodeMessage(message))).toEqual(message);
        },
      ),
    );
  });

  it("are refused when they were damaged or cut, whatever the damage", () => {
    const frame = encodeMessage(newMessage({ type: "output_stream_data", payload: Buffer.from("some bytes") }));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: frame.length - 1 }), (length) => {
        expect(() => decodeMessage(frame.subarray(0, length))).toThrow(BrokenFrameError);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 80, max: frame.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(frame);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        // The type of the payload is not part of what is hashed.
        if (at >= 112 && at < 116) return;
        expect(() => decodeMessage(damaged)).toThrow(BrokenFrameError);
      }),
    );
  });

  it("of later versions may have a longer header, and other padding", () => {
    const frame = encodeMessage(newMessage({ type: "pause_publication", payload: Buffer.alloc(0) }));
    const longer = Buffer.concat([frame.subarray(0, 116), Buffer.alloc(8), frame.subarray(116)]);
    longer.writeUInt32BE(124, 0);
    longer.fill(0, 4 + "pause_publication".length, 36);
    expect(decodeMessage(longer)).toMatchObject({ type: "pause_publication", payload: Buffer.alloc(0) });
  });
});
