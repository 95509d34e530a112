import { describe, expect, it } from "vitest";
import type { SkyError } from "../shared/errors.ts";
import { Channel } from "./channel.ts";
import { decodeMessage, encodeMessage, FLAG, newMessage, PAYLOAD, type Message } from "./message.ts";
import { flagPayload } from "./payloads.ts";

interface Rig {
  readonly channel: Channel;
  readonly sent: Message[];
  readonly output: string[];
  readonly ends: (SkyError | undefined)[];
  readonly hear: (payloadType: number, payload: Uint8Array) => void;
  readonly shakeHands: (actions: readonly object[]) => void;
}

const PORT = { ActionType: "SessionType", ActionParameters: { SessionType: "Port", Properties: { portNumber: "22" } } };

function rig(): Rig {
  const [sent, output, ends]: [Message[], string[], (SkyError | undefined)[]] = [[], [], []];
  let sequence = 0;
  const channel = new Channel({
    target: "i-1",
    now: () => 1000,
    events: {
      send: (frame) => sent.push(decodeMessage(frame)),
      output: (bytes) => output.push(Buffer.from(bytes).toString()),
      notice: (text) => output.push(text),
      room: () => undefined,
      ended: (error) => ends.push(error),
    },
  });
  const hear = (payloadType: number, payload: Uint8Array): void => {
    const message = newMessage({ type: "output_stream_data", sequence, payloadType, payload });
    sequence += 1;
    channel.receive(encodeMessage(message));
  };
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const shakeHands = (RequestedClientActions: readonly object[]): void =>
    hear(PAYLOAD.handshakeRequest, json({ AgentVersion: "3.3.0.0", RequestedClientActions }));
  return { channel, sent, output, ends, hear, shakeHands };
}

describe("a data channel", () => {
  it("shakes hands, and takes input only then", () => {
    const { channel, sent, shakeHands, hear, output } = rig();
    expect(channel.hasRoom).toBe(false);
    shakeHands([PORT]);
    const answer = JSON.parse(Buffer.from(sent[1]?.payload ?? []).toString()) as Record<string, unknown>;
    expect(answer["ProcessedClientActions"]).toEqual([
      { ActionType: "SessionType", ActionStatus: 1, ActionResult: null, Error: "" },
    ]);
    hear(PAYLOAD.handshakeComplete, Buffer.from('{"CustomerMessage":"Be nice."}'));
    expect(channel.hasRoom).toBe(true);
    expect(output).toEqual(["Be nice."]);
    channel.write(Buffer.alloc(2500, "x"));
    const data = sent.filter((each) => each.payloadType === PAYLOAD.output);
    expect(data.map((each) => [each.sequence, each.payload.length])).toEqual([
      [1, 1024],
      [2, 1024],
      [3, 452],
    ]);
  });

  it("refuses encryption with a KMS key, and says so to both sides", () => {
    const { sent, ends, shakeHands } = rig();
    shakeHands([PORT, { ActionType: "KMSEncryption", ActionParameters: { KMSKeyId: "k" } }]);
    expect(Buffer.from(sent[1]?.payload ?? []).toString()).toContain('"ActionType":"KMSEncryption","ActionStatus":3');
    expect(ends[0]?.message).toBe("The session to i-1 asks for what cannot be done: encryption with a KMS key.");
  });

  it("begins without a handshake where an old agent has none", () => {
    const { channel, hear, output } = rig();
    hear(PAYLOAD.output, Buffer.from("SSH-2.0-x\r\n"));
    expect([channel.isOpen, output]).toEqual([true, ["SSH-2.0-x\r\n"]]);
  });

  it("sends nothing while the service wants a pause", () => {
    const { channel, hear, sent } = rig();
    hear(PAYLOAD.output, Buffer.from("x"));
    const say = (type: "pause_publication" | "start_publication"): void =>
      channel.receive(encodeMessage(newMessage({ type, payload: Buffer.alloc(0) })));
    channel.write(Buffer.from("y"));
    say("pause_publication");
    expect(channel.hasRoom).toBe(false);
    const before = sent.length;
    channel.resume();
    say("pause_publication");
    channel.tick();
    // On a new connection everything is sent once more, as the pause was the old one's.
    expect(sent).toHaveLength(before + 1);
    say("start_publication");
    expect(channel.hasRoom).toBe(true);
  });

  it.each([
    ["the port refuses", PAYLOAD.flag, flagPayload(FLAG.connectToPortError), "cannot connect to port 22"],
    ["the port closes", PAYLOAD.flag, flagPayload(FLAG.disconnectToPort), undefined],
  ])("ends when %s", (_name, type, payload, message) => {
    const { ends, hear } = rig();
    hear(type, payload);
    expect(ends).toHaveLength(1);
    if (message === undefined) expect(ends[0]).toBeUndefined();
    else expect(ends[0]?.message).toContain(message);
  });

  it.each([
    ["", "The session to i-1 was closed without a word."],
    ["Not allowed here.", "The session to i-1 was closed: Not allowed here."],
  ])("tells why it was closed before it began: %s", (Output, message) => {
    const { channel, ends } = rig();
    const payload = Buffer.from(JSON.stringify({ Output }));
    channel.receive(encodeMessage(newMessage({ type: "channel_closed", payload })));
    expect(ends[0]?.message).toBe(message);
  });
});
