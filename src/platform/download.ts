import { get as httpGet, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";

const SILENCE_MS = 30_000;
const MAX_REDIRECTS = 5;

/** The content of a file of the web, in memory. Rejects with an error whose message says why, without the URL. */
export async function downloadFile(url: URL, { maxBytes }: { readonly maxBytes: number }): Promise<Buffer> {
  let target = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await get(target);
    const { statusCode: status = 0, headers } = response;
    if (status === 200) return readBody(response, maxBytes);
    response.resume();
    if (status < 300 || status >= 400 || headers.location === undefined) throw new Error(`HTTP ${status}`);
    target = new URL(headers.location, target);
  }
  throw new Error(`more than ${MAX_REDIRECTS} redirects`);
}

function get(url: URL): Promise<IncomingMessage> {
  const start = url.protocol === "http:" ? httpGet : httpsGet;
  return new Promise((resolve, reject) => {
    const request = start(url, { timeout: SILENCE_MS }, resolve);
    request.on("timeout", () => request.destroy(new Error("No answer.")));
    request.on("error", reject);
  });
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error("It is too large.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
