import { hash, randomUUID } from "node:crypto";

/** What the two ends of a data channel say to each other; names as they are on the wire. */
export type MessageType =
  | "input_stream_data"
  | "output_stream_data"
  | "acknowledge"
  | "channel_closed"
  | "start_publication"
  | "pause_publication";

/** What the payload of stream data is. */
export const PAYLOAD = {
  output: 1,
  error: 2,
  handshakeRequest: 5,
  handshakeResponse: 6,
  handshakeComplete: 7,
  encryptionChallenge: 8,
  flag: 10,
  stderr: 11,
  exitCode: 12,
} as const;

/** The number in a payload of the type `flag`. */
export const FLAG = { disconnectToPort: 1, terminateSession: 2, connectToPortError: 3 } as const;

export interface Message {
  /** One of `MessageType`, or what a later version of the service may send. */
  readonly type: string;
  readonly schemaVersion: number;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
  /** Counts the stream data of one direction from 0. */
  readonly sequence: number;
  readonly flags: number;
  /** UUID in its usual form. */
  readonly id: string;
  /** One of `PAYLOAD`; 0 where the type of the message says it all. */
  readonly payloadType: number;
  readonly payload: Uint8Array;
}

/** A frame that is not what it should be; the other end sends it again. */
export class BrokenFrameError extends Error {}

const AT = { type: 4, schema: 36, created: 40, sequence: 48, flags: 56, id: 64, digest: 80, payloadType: 112 } as const;
/** The header ends where the payload's length begins: that is what its own length counts. */
const HEADER_BYTES = 116;
const PAYLOAD_AT = HEADER_BYTES + 4;
const TYPE_BYTES = 32;

/** A message of this schema, as new. `bits`: 0 unless the first or last of a stream is to be marked. */
export function newMessage(
  of: Pick<Message, "payload"> & { readonly type: MessageType } & Partial<Message>,
): Message & { readonly type: MessageType } {
  return { schemaVersion: 1, createdMs: 0, sequence: 0, flags: 0, id: randomUUID(), payloadType: 0, ...of };
}

/** Numbers are big-endian; the header is padded with blanks and followed by the payload. */
export function encodeMessage(message: Message): Buffer {
  const { payload } = message;
  const frame = Buffer.alloc(PAYLOAD_AT + payload.length);
  frame.writeUInt32BE(HEADER_BYTES, 0);
  frame.fill(" ", AT.type, AT.type + TYPE_BYTES);
  frame.write(message.type, AT.type, TYPE_BYTES, "latin1");
  frame.writeUInt32BE(message.schemaVersion, AT.schema);
  frame.writeBigUInt64BE(BigInt(message.createdMs), AT.created);
  frame.writeBigInt64BE(BigInt(message.sequence), AT.sequence);
  frame.writeBigUInt64BE(BigInt(message.flags), AT.flags);
  swapHalves(Buffer.from(message.id.replaceAll("-", ""), "hex")).copy(frame, AT.id);
  hash("sha256", payload, "buffer").copy(frame, AT.digest);
  frame.writeUInt32BE(message.payloadType, AT.payloadType);
  frame.writeUInt32BE(payload.length, HEADER_BYTES);
  frame.set(payload, PAYLOAD_AT);
  return frame;
}

/** The payload shares memory with the frame. Throws BrokenFrameError. */
export function decodeMessage(bytes: Uint8Array): Message {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (frame.length < PAYLOAD_AT) throw new BrokenFrameError(`A frame of ${frame.length} bytes has no header.`);
  // A longer header of a later version puts new fields at its end.
  const headerBytes = frame.readUInt32BE(0);
  if (headerBytes < HEADER_BYTES || headerBytes + 4 > frame.length) {
    throw new BrokenFrameError(`A frame of ${frame.length} bytes says that its header has ${headerBytes}.`);
  }
  const length = frame.readUInt32BE(headerBytes);
  const payload = frame.subarray(headerBytes + 4);
  if (payload.length !== length) {
    throw new BrokenFrameError(`A payload of ${length} bytes was announced, ${payload.length} came.`);
  }
  const message = readHeader(frame, payload);
  // Pauses come without a payload and without its digest.
  if (length > 0 && !hash("sha256", payload, "buffer").equals(digestOf(frame))) {
    throw new BrokenFrameError(`The payload of ${message.type} ${message.sequence} was damaged on the way.`);
  }
  return message;
}

function readHeader(frame: Buffer, payload: Buffer): Message {
  return {
    // Padded with blanks by some senders, with zeros by others.
    type: frame.toString("latin1", AT.type, AT.type + TYPE_BYTES).replace(/[\s\0]+$/u, ""),
    schemaVersion: frame.readUInt32BE(AT.schema),
    createdMs: Number(frame.readBigUInt64BE(AT.created)),
    sequence: Number(frame.readBigInt64BE(AT.sequence)),
    flags: Number(frame.readBigUInt64BE(AT.flags)),
    id: toUuid(swapHalves(frame.subarray(AT.id, AT.digest))),
    payloadType: frame.readUInt32BE(AT.payloadType),
    payload,
  };
}

function digestOf(frame: Buffer): Buffer {
  return frame.subarray(AT.digest, AT.payloadType);
}

/** A UUID travels as two numbers of 8 bytes, the lower one first. */
function swapHalves(id: Buffer): Buffer {
  return Buffer.concat([id.subarray(8, 16), id.subarray(0, 8)]);
}

function toUuid(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/u, "$1-$2-$3-$4-$5");
}
