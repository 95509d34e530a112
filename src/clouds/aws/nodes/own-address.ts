import { isIPv4 } from "node:net";
import { OperationFailedError } from "../../../shared/errors.ts";

const SERVICE = "https://checkip.amazonaws.com/";

export type FetchText = (url: string, signal: AbortSignal) => Promise<string>;

/** The address under which AWS sees this machine, as a block of one. Throws OperationFailedError when nobody tells. */
export async function ownCidr(fetchText: FetchText, signal: AbortSignal): Promise<string> {
  let problem = "";
  try {
    const address = (await fetchText(SERVICE, signal)).trim();
    if (isIPv4(address)) return `${address}/32`;
    problem = "the answer is no address";
  } catch (error) {
    signal.throwIfAborted();
    problem = error instanceof Error ? error.message : String(error);
  }
  throw new OperationFailedError(
    `The public address of this machine, from which SSH is to be allowed, could not be found out from ${SERVICE} (${problem}).`,
    { hint: "Name the addresses in ~/.sky/config.yaml, e.g. aws.ssh_allowed_cidrs: [203.0.113.7/32]" },
  );
}
