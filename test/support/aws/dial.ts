/** Connects for whoever asks at a socket file: the first line names host and port, bytes follow. usage: dial.ts SOCKET */
import { createConnection, createServer } from "node:net";

const [path = ""] = process.argv.slice(2);

createServer((outer) => {
  outer.once("data", (first: Buffer) => {
    outer.pause();
    const end = first.indexOf(10);
    const [host = "", port = ""] = first.subarray(0, end).toString("utf8").split(" ");
    const inner = createConnection(Number(port), host);
    inner.once("connect", () => {
      inner.write(first.subarray(end + 1));
      outer.write("+");
      outer.pipe(inner).pipe(outer);
    });
    inner.on("error", () => outer.destroy());
    outer.on("close", () => inner.destroy());
  });
  outer.on("error", () => outer.destroy());
}).listen(path, () => process.stdout.write("ready\n"));
