/** Plain data that a pickle may hold. A tuple is told from a list by `PickleTuple`. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleTuple
  | readonly PickleValue[]
  | { readonly [key: string]: PickleValue };

export class PickleTuple {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

const MAX_DEPTH = 200;

/** Writes protocol 4 without memo and frames. Only plain data: nothing that a reader would execute. Throws RangeError beyond 200 levels. */
export function writePickle(value: PickleValue): Uint8Array {
  const out: number[] = [0x80, 0x04];
  writeValue(value, out, 0);
  out.push(0x2e);
  return Uint8Array.from(out);
}

function writeValue(value: PickleValue, out: number[], depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError(`Data nested deeper than ${MAX_DEPTH} levels cannot be pickled.`);
  if (value === null) out.push(0x4e);
  else if (typeof value === "boolean") out.push(value ? 0x88 : 0x89);
  else if (typeof value === "number") writeNumber(value, out);
  else if (typeof value === "bigint") writeBigInt(value, out);
  else if (typeof value === "string") writeText(value, out);
  else if (value instanceof PickleTuple) writeTuple(value, out, depth);
  else if (isArray(value)) writeList(value, out, depth);
  else writeDict(value, out, depth);
}

function isArray(value: object): value is readonly PickleValue[] {
  return Array.isArray(value);
}

function writeNumber(value: number, out: number[]): void {
  // Beyond 2^53 a number is a float that happens to have no fraction.
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    out.push(0x47, ...bytesOf(8, (view) => view.setFloat64(0, value)));
  } else if (value >= 0 && value <= 0xff) {
    out.push(0x4b, value);
  } else if (value >= -(2 ** 31) && value < 2 ** 31) {
    out.push(0x4a, ...bytesOf(4, (view) => view.setInt32(0, value, true)));
  } else {
    writeBigInt(BigInt(value), out);
  }
}

/** Two's complement, little endian, as short as the sign allows. */
function writeBigInt(value: bigint, out: number[]): void {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const byte = Number(rest & 0xffn);
    bytes.push(byte);
    rest >>= 8n;
    if ((rest === 0n && byte < 0x80) || (rest === -1n && byte >= 0x80)) break;
  }
  if (bytes.length <= 0xff) out.push(0x8a, bytes.length);
  else out.push(0x8b, ...bytesOf(4, (view) => view.setInt32(0, bytes.length, true)));
  for (const byte of bytes) out.push(byte);
}

function writeText(value: string, out: number[]): void {
  // A lone surrogate is no valid UTF-8, and Python would refuse the whole pickle.
  const bytes = new TextEncoder().encode(value);
  if (bytes.length <= 0xff) out.push(0x8c, bytes.length);
  else out.push(0x58, ...bytesOf(4, (view) => view.setUint32(0, bytes.length, true)));
  for (const byte of bytes) out.push(byte);
}

function writeTuple(value: PickleTuple, out: number[], depth: number): void {
  if (value.items.length === 0) {
    out.push(0x29);
    return;
  }
  out.push(0x28);
  for (const item of value.items) writeValue(item, out, depth + 1);
  out.push(0x74);
}

function writeList(value: readonly PickleValue[], out: number[], depth: number): void {
  out.push(0x5d);
  if (value.length === 0) return;
  out.push(0x28);
  for (const item of value) writeValue(item, out, depth + 1);
  out.push(0x65);
}

function writeDict(value: { readonly [key: string]: PickleValue }, out: number[], depth: number): void {
  out.push(0x7d);
  const entries = Object.entries(value);
  if (entries.length === 0) return;
  out.push(0x28);
  for (const [key, item] of entries) {
    writeText(key, out);
    writeValue(item, out, depth + 1);
  }
  out.push(0x75);
}

function bytesOf(length: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return bytes;
}
