/** The lines that steer the client's spinner inside a log stream; each stands alone on its line. */

export type ControlLine =
  | { readonly kind: "init" | "start" | "update"; readonly message: string }
  | { readonly kind: "stop" | "exit" | "heartbeat" | "retry" }
  | { readonly kind: "job_finished"; readonly message: string }
  /** A page for the user's browser; the message is its URL. Only our own commands send it. */
  | { readonly kind: "open_url"; readonly message: string };

// `.` stops at U+2028, which JSON leaves as it is.
const PATTERN = /^<sky-payload(?:\{[^}]*\})?>([^\n\r]*)<\/sky-payload>\s*$/;
const CONTENT =
  /^<(rich_init|rich_start|rich_update|rich_stop|rich_exit|heartbeat|retry|job_finished|open_url)>([\s\S]*)<\/\1>$/;

const TAGS = {
  init: "rich_init",
  start: "rich_start",
  update: "rich_update",
  stop: "rich_stop",
  exit: "rich_exit",
  heartbeat: "heartbeat",
  retry: "retry",
  job_finished: "job_finished",
  open_url: "open_url",
} as const;

/** Text of a control line, newline included. */
export function renderControl(control: ControlLine): string {
  const tag = TAGS[control.kind];
  const message = "message" in control ? control.message : "";
  return `<sky-payload>${JSON.stringify(`<${tag}>${message}</${tag}>`)}</sky-payload>\n`;
}

/** Whether the line (without or with its end) is a control line, known or not. */
export function isControl(line: string): boolean {
  return PATTERN.test(line);
}

/** Reads a control line; undefined for ordinary text and for controls we do not know. */
export function parseControl(line: string): ControlLine | undefined {
  const json = PATTERN.exec(line)?.[1];
  if (json === undefined) return undefined;
  let text: unknown;
  try {
    text = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof text !== "string") return undefined;
  const match = CONTENT.exec(text);
  if (match === null) return undefined;
  const message = match[2] ?? "";
  const kind = (Object.keys(TAGS) as (keyof typeof TAGS)[]).find((key) => TAGS[key] === match[1]);
  if (kind === undefined) return undefined;
  if (kind === "init" || kind === "start" || kind === "update" || kind === "job_finished" || kind === "open_url")
    return { kind, message };
  return { kind };
}
