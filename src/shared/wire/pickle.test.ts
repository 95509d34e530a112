import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PickleTuple, writePickle, type PickleValue } from "./pickle.ts";

function hex(value: PickleValue): string {
  return Buffer.from(writePickle(value)).toString("hex");
}

test.each<[string, PickleValue, string]>([
  ["None", null, "4e"],
  ["True", true, "88"],
  ["False", false, "89"],
  ["a small int", 255, "4bff"],
  ["a 32-bit int", -2, "4afeffffff"],
  ["a 33-bit int", 2 ** 32, "8a050000000001"],
  ["the border of the sign", 2n ** 31n, "8a050000008000"],
  ["a negative long", -(2n ** 32n), "8a0500000000ff"],
  ["minus one as a long", -1n, "8a01ff"],
  ["a float", 1.5, "473ff8000000000000"],
  ["a text", "é", "8c02c3a9"],
  ["an empty list", [], "5d"],
  ["a list", [1, null], "5d284b014e65"],
  ["an empty tuple", new PickleTuple([]), "29"],
  ["a tuple", new PickleTuple(["a"]), "288c016174"],
  ["an empty dict", {}, "7d"],
  ["a dict", { a: 1 }, "7d288c01614b0175"],
])("%s", (_name, value, body) => {
  expect(hex(value)).toBe(`8004${body}2e`);
});

test("a long text has a length of four bytes", () => {
  expect(hex("x".repeat(256)).startsWith("800458000100007878")).toBe(true);
});

test("data without an end is refused", () => {
  const loop: PickleValue[] = [];
  loop.push(loop);
  expect(() => writePickle(loop)).toThrow(RangeError);
});

/** The few opcodes that the writer knows, read back. */
function read(bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: unknown[] = [];
  const marks: number[] = [];
  const text = (start: number, length: number): string =>
    new TextDecoder().decode(bytes.subarray(start, start + length));
  const sinceMark = (): unknown[] => stack.splice(marks.pop() ?? 0);
  let position = 2;
  for (;;) {
    const code = bytes[position++];
    if (code === 0x2e) return stack.pop();
    if (code === 0x4e) stack.push(null);
    else if (code === 0x88 || code === 0x89) stack.push(code === 0x88);
    else if (code === 0x4b) stack.push(bytes[position++]);
    else if (code === 0x4a) stack.push(view.getInt32((position += 4) - 4, true));
    else if (code === 0x47) stack.push(view.getFloat64((position += 8) - 8));
    else if (code === 0x8a) {
      const length = bytes[position++] ?? 0;
      let value = 0n;
      for (let index = length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[position + index] ?? 0);
      position += length;
      stack.push(Number(BigInt.asIntN(length * 8, value)));
    } else if (code === 0x8c) {
      const length = bytes[position++] ?? 0;
      stack.push(text((position += length) - length, length));
    } else if (code === 0x58) {
      const length = view.getUint32((position += 4) - 4, true);
      stack.push(text((position += length) - length, length));
    } else if (code === 0x5d) stack.push([]);
    else if (code === 0x7d) stack.push({});
    else if (code === 0x28) marks.push(stack.length);
    else if (code === 0x65) {
      const items = sinceMark();
      (stack.at(-1) as unknown[]).push(...items);
    } else if (code === 0x75) {
      const items = sinceMark();
      const dict = stack.at(-1) as Record<string, unknown>;
      for (let index = 0; index < items.length; index += 2) {
        Object.defineProperty(dict, items[index] as string, { value: items[index + 1], enumerable: true });
      }
    } else throw new Error(`Unknown opcode ${code}.`);
  }
}

test("what is written can be read, whatever it is", () => {
  const json = fc.jsonValue({ noUnicodeString: false }).filter((value) => !JSON.stringify(value).includes("\\ud"));
  fc.assert(
    fc.property(json, (value) => {
      expect(read(writePickle(value as PickleValue))).toEqual(value);
    }),
  );
  fc.assert(
    fc.property(fc.integer(), fc.maxSafeInteger(), (small, large) => {
      expect(read(writePickle([small, large]))).toEqual([small, large]);
    }),
  );
});
