import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { BlockDecoder, type EncodedBlock } from "../../shared/agent/sync-blocks.ts";

/** The blocks of a stream. Throws BAD_PARAMS when it ends within one. */
export async function* decodeBlocks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<EncodedBlock, void, undefined> {
  const decoder = new BlockDecoder();
  for await (const chunk of chunks) yield* decoder.push(chunk);
  if (!decoder.isAtBoundary) throw new AgentPeerError("BAD_PARAMS", "Less content came than was asked for.");
}
