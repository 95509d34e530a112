/** The metadata service of one instance, version 2: its role's keys. usage: instance-metadata.ts ROLE KEYS_JSON; prints `ready`. */
import { createServer } from "node:http";

const [role = "", keys = "{}"] = process.argv.slice(2);
const TOKEN = "metadata-token";

createServer((request, response) => {
  if (request.method === "PUT" && request.url === "/latest/api/token") {
    response.writeHead(200, { "x-aws-ec2-metadata-token-ttl-seconds": "21600" }).end(TOKEN);
    return;
  }
  if (request.headers["x-aws-ec2-metadata-token"] !== TOKEN) {
    response.writeHead(401).end();
    return;
  }
  const folder = "/latest/meta-data/iam/security-credentials/";
  if (role !== "" && request.url === folder) response.end(role);
  else if (role !== "" && request.url === `${folder}${role}`) response.end(keys);
  else response.writeHead(404).end();
}).listen(80, "169.254.169.254", () => process.stdout.write("ready\n"));
