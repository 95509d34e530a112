import type { LineInput } from "./context.ts";

/** Reads answers line by line; the stream is not touched before the first question. */
export function stdinLines(open: () => NodeJS.ReadStream): LineInput {
  let buffered = "";
  let ended = false;
  return {
    async readLine({ signal }) {
      const stream = open();
      stream.setEncoding("utf8");
      while (!buffered.includes("\n") && !ended) {
        const chunk = await nextChunk(stream, signal);
        if (chunk === undefined) ended = true;
        else buffered += chunk;
      }
      stream.pause();
      stream.unref?.();
      const end = buffered.indexOf("\n");
      if (end === -1 && buffered === "") return undefined;
      const line = end === -1 ? buffered : buffered.slice(0, end);
      buffered = end === -1 ? "" : buffered.slice(end + 1);
      return line.replace(/\r$/, "");
    },
  };
}

function nextChunk(stream: NodeJS.ReadStream, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      stream.off("data", onData);
      stream.off("end", onEnd);
      stream.off("error", onError);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onData = (chunk: string | Buffer): void => finish(() => resolve(chunk.toString()));
    const onEnd = (): void => finish(() => resolve(undefined));
    const onError = (error: Error): void => finish(() => reject(error));
    const onAbort = (): void => finish(() => reject(signal.reason as Error));
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    stream.on("data", onData);
    stream.on("end", onEnd);
    stream.on("error", onError);
    stream.ref?.();
    stream.resume();
  });
}
