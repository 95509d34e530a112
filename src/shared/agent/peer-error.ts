import { AgentError, type SkyErrorOptions } from "../errors.ts";
import type { AgentErrorCode } from "./protocol.ts";

/** `CLOSED`: the connection ended first. `TIMEOUT`: the other side fell silent. */
export type PeerErrorCode = AgentErrorCode | "CLOSED" | "TIMEOUT";

/** A call to an agent failed: either the agent said so, or the connection to it is gone. */
export class AgentPeerError extends AgentError {
  readonly agentCode: PeerErrorCode;
  /** The nodes that it is about, when there may be several. */
  readonly nodes: readonly number[] | undefined;

  constructor(
    agentCode: PeerErrorCode,
    message: string,
    options?: SkyErrorOptions & { readonly nodes?: readonly number[] },
  ) {
    super(message, options);
    this.agentCode = agentCode;
    this.nodes = options?.nodes;
  }
}

/** Whether the connection ended before the answer came: nobody knows whether the other side acted. */
export function isConnectionLoss(error: unknown): boolean {
  return error instanceof AgentPeerError && (error.agentCode === "CLOSED" || error.agentCode === "TIMEOUT");
}

/** An error as it travels. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly nodes?: readonly number[];
}

export function toWireError(error: unknown): WireError {
  if (error instanceof AgentPeerError) {
    const { agentCode: code, message, hint, nodes } = error;
    return { code, message, ...(hint === undefined ? {} : { hint }), ...(nodes === undefined ? {} : { nodes }) };
  }
  return { code: "INTERNAL", message: error instanceof Error ? error.message : String(error) };
}

export function fromWireError(wire: WireError): AgentPeerError {
  const { hint, nodes } = wire;
  const options = { ...(hint === undefined ? {} : { hint }), ...(nodes === undefined ? {} : { nodes }) };
  // An unknown code comes from a newer agent; it stays what it is, so that the message is not lost.
  return new AgentPeerError(wire.code as PeerErrorCode, wire.message, options);
}
