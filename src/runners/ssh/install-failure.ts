import { AgentError } from "../../shared/errors.ts";

/** Says what a host's refusal means and what to do. `text` is what its tools printed. */
export function explainRefusal(text: string, host: string): AgentError {
  if (text.startsWith("platform ")) {
    return new AgentError(`${host} runs ${text.slice("platform ".length)}: nodes need Linux on x86_64 or arm64.`);
  }
  if (text.startsWith("runtime ")) {
    return new AgentError(`The runtime does not run on ${host}: ${text.slice("runtime ".length)}`, {
      hint: "It needs glibc 2.28 or newer (Debian 10, Ubuntu 20.04, RHEL 8) and a directory from which programs may be started.",
    });
  }
  // The last is how GNU tar says it when a part of a block still fits.
  if (/no space left|disk quota|wrote only \d+ of/i.test(text)) {
    return new AgentError(`The disk of ${host} is full: ${text}`, {
      hint: "About 300 MB are needed. Free space and repeat the command.",
    });
  }
  if (/read-only file system/i.test(text)) {
    return new AgentError(`${host} cannot be written to: ${text}`, {
      hint: "The login needs a directory that can be written.",
    });
  }
  if (/permission denied/i.test(text)) {
    return new AgentError(`${host} cannot be written to: ${text}`, { hint: "Give the directory to the login's user." });
  }
  return new AgentError(`${host} cannot be prepared: ${text}`);
}
