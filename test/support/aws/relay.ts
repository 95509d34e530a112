/** Carries connections of a port of one network to a socket file, which is the same in all of them. usage: relay.ts PORT SOCKET */
import { createConnection, createServer } from "node:net";

const [port = "", socket = ""] = process.argv.slice(2);

createServer((inner) => {
  const outer = createConnection(socket);
  inner.pipe(outer).pipe(inner);
  // Either end may break; the other is told by the end of its stream.
  inner.on("error", () => outer.destroy());
  outer.on("error", () => inner.destroy());
}).listen(Number(port), "0.0.0.0", () => process.stdout.write("ready\n"));
