import { AgentError, type SkyErrorOptions } from "../errors.ts";
import type { AgentErrorCode } from "./protocol.ts";

/** `CLOSED`: the connection ended first. `TIMEOUT`: the other side fell silent. */
export type PeerErrorCode = AgentErrorCode | "CLOSED" | "TIMEOUT";

/** A call to an agent failed: either the agent said so, or the connection to it is gone. */
export class AgentPeerError extends AgentError {
  readonly agentCode: PeerErrorCode;

  constructor(agentCode: PeerErrorCode, message: string, options?: SkyErrorOptions) {
    super(message, options);
    this.agentCode = agentCode;
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
}

export function toWireError(error: unknown): WireError {
  if (error instanceof AgentPeerError) {
    const { agentCode: code, message, hint } = error;
    return hint === undefined ? { code, message } : { code, message, hint };
  }
  return { code: "INTERNAL", message: error instanceof Error ? error.message : String(error) };
}

export function fromWireError(wire: WireError): AgentPeerError {
  const options = wire.hint === undefined ? {} : { hint: wire.hint };
  // An unknown code comes from a newer agent; it stays what it is, so that the message is not lost.
  return new AgentPeerError(wire.code as PeerErrorCode, wire.message, options);
}
