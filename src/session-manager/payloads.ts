import { encodeMessage, newMessage, type Message } from "./message.ts";

/** The answer to a frame of stream data, as JSON. */
export function encodeAcknowledgement(of: Message, createdMs: number): Buffer {
  const payload = Buffer.from(
    JSON.stringify({
      AcknowledgedMessageType: of.type,
      AcknowledgedMessageId: of.id,
      AcknowledgedMessageSequenceNumber: of.sequence,
      IsSequentialMessage: true,
    }),
  );
  // Acknowledgements are not counted; both marks of a stream are set.
  return encodeMessage(newMessage({ type: "acknowledge", createdMs, flags: 3, payload }));
}

/** Which frame an acknowledgement is about; undefined when it does not say. */
export function acknowledgedSequence(message: Message): number | undefined {
  const sequence = objectOf(message)["AcknowledgedMessageSequenceNumber"];
  return typeof sequence === "number" ? sequence : undefined;
}

export interface HandshakeAction {
  readonly type: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface HandshakeRequest {
  readonly agentVersion: string;
  readonly actions: readonly HandshakeAction[];
}

export function readHandshakeRequest(message: Message): HandshakeRequest {
  const { AgentVersion, RequestedClientActions: actions } = objectOf(message);
  return {
    agentVersion: typeof AgentVersion === "string" ? AgentVersion : "",
    actions: (Array.isArray(actions) ? actions : []).map((action: unknown) => {
      const { ActionType, ActionParameters } = asObject(action);
      return { type: typeof ActionType === "string" ? ActionType : "", parameters: asObject(ActionParameters) };
    }),
  };
}

const STATUS = { success: 1, unsupported: 3 } as const;

/** `errors`: why an action was refused, by its type; the others succeeded. */
export function handshakeResponse(
  request: HandshakeRequest,
  answer: { readonly clientVersion: string; readonly errors: ReadonlyMap<string, string> },
): Buffer {
  const { clientVersion, errors } = answer;
  return Buffer.from(
    JSON.stringify({
      ClientVersion: clientVersion,
      ProcessedClientActions: request.actions.map(({ type }) => ({
        ActionType: type,
        ActionStatus: errors.has(type) ? STATUS.unsupported : STATUS.success,
        ActionResult: null,
        Error: errors.get(type) ?? "",
      })),
      Errors: [...errors.values()],
    }),
  );
}

/** What whoever set the sessions up wants users to read; "" = nothing. */
export function customerMessage(message: Message): string {
  return textOf(objectOf(message)["CustomerMessage"]);
}

/** Why the channel was closed, as the service says; "" = it does not. */
export function closingWords(message: Message): string {
  return textOf(objectOf(message)["Output"]);
}

export function flagPayload(flag: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(flag);
  return payload;
}

export function readFlag(message: Message): number {
  return message.payload.length === 4 ? Buffer.from(message.payload).readUInt32BE(0) : 0;
}

/** The first words on a new WebSocket, as text: they prove that the session was started by who opens the channel. */
export function openDataChannel(words: {
  readonly requestId: string;
  readonly token: string;
  readonly clientId: string;
  readonly clientVersion: string;
}): string {
  return JSON.stringify({
    MessageSchemaVersion: "1.0",
    RequestId: words.requestId,
    TokenValue: words.token,
    ClientId: words.clientId,
    ClientVersion: words.clientVersion,
  });
}

/** The object in a payload; {} for what is none. */
function objectOf(message: Message): Readonly<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(Buffer.from(message.payload).toString("utf8")));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
