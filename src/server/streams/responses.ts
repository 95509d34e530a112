import { toByteStream } from "./byte-stream.ts";
import { toHtml } from "./html.ts";
import { withoutControls } from "./plain.ts";

export type LogFormat = "console" | "plain" | "html";

const BROWSER = /mozilla|chrome|safari|edge/i;

/** What `auto` means for this client. */
export function chooseFormat(format: string | undefined, userAgent: string | undefined): LogFormat {
  if (format === "plain" || format === "html" || format === "console") return format;
  return BROWSER.test(userAgent ?? "") ? "html" : "plain";
}

/** Makes the streaming answer of a log. `download`: file name to offer. */
export function logResponse(
  produce: (signal: AbortSignal) => AsyncGenerator<Uint8Array>,
  options: {
    readonly format: LogFormat;
    readonly headers: Readonly<Record<string, string>>;
    readonly isGzip?: boolean;
    readonly download?: string | undefined;
    readonly onError: (error: unknown) => void;
  },
): Response {
  const { format } = options;
  const formatted = (signal: AbortSignal): AsyncGenerator<Uint8Array> => {
    if (format === "html") return toHtml(produce(signal));
    return format === "plain" ? withoutControls(produce(signal)) : produce(signal);
  };
  const stream = toByteStream(formatted, options);
  const headers: Record<string, string> = {
    "content-type": format === "html" ? "text/html; charset=utf-8" : "text/plain; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
    ...options.headers,
  };
  if (options.download !== undefined) {
    headers["content-disposition"] = `attachment; filename="${options.download.replace(/[^\w.-]/g, "_")}"`;
  }
  if (options.isGzip !== true) return new Response(stream, { headers });
  headers["content-type"] = "application/gzip";
  return new Response(stream.pipeThrough(new CompressionStream("gzip")), {
    headers,
  });
}
