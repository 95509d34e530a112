const ESCAPE = 0x1b;
const CODE = /\u001B\[[0-9;?]*[A-Za-z]/g;
const OPEN_CODE = /\u001B(?:\[[0-9;?]*)?$/;
/** The longest code that is waited for; whatever is longer is not one. */
const MAX_CODE = 32;

/** Takes terminal codes out of a text that comes in pieces; a code may be cut anywhere. */
export class ColorFilter {
  #held = "";

  push(bytes: Buffer): Buffer {
    if (this.#held === "" && !bytes.includes(ESCAPE)) return bytes;
    // One character per byte: the codes are ASCII, and everything else comes back as it was.
    const text = this.#held + bytes.toString("latin1");
    const open = OPEN_CODE.exec(text.slice(-MAX_CODE));
    this.#held = open === null ? "" : open[0];
    const complete = text.slice(0, text.length - this.#held.length);
    return Buffer.from(complete.replace(CODE, ""), "latin1");
  }
}
