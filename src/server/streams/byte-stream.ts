/**
 * Makes a response body of a generator. The generator's signal aborts when the client goes away (or `stopping` aborts), so that
 * one that waits ends at once.
 */
export function toByteStream(
  produce: (signal: AbortSignal) => AsyncGenerator<Uint8Array>,
  options: { readonly onError: (error: unknown) => void },
): ReadableStream<Uint8Array> {
  const controller = new AbortController();
  const chunks = produce(controller.signal);
  return new ReadableStream<Uint8Array>(
    {
      async pull(stream) {
        try {
          const next = await chunks.next();
          if (next.done === true) stream.close();
          else stream.enqueue(next.value);
        } catch (error) {
          if (controller.signal.aborted) return;
          options.onError(error);
          stream.error(error);
        }
      },
      async cancel() {
        controller.abort();
        await chunks.return(undefined).catch(() => undefined);
      },
    },
    // One chunk ahead is enough: a slow reader must not make us read the file into memory.
    { highWaterMark: 1 },
  );
}

const encoder = new TextEncoder();

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}
