import { request } from "node:http";

const METADATA = "http://169.254.169.254";
const ANSWER_MS = 2000;

/** Whether the machine has a role of its own, as EC2's metadata service (version 2) tells it. */
export async function hasInstanceRole(): Promise<boolean> {
  try {
    const seconds = { "x-aws-ec2-metadata-token-ttl-seconds": "60" };
    const token = await ask("PUT", "/latest/api/token", seconds);
    const roles = await ask("GET", "/latest/meta-data/iam/security-credentials/", {
      "x-aws-ec2-metadata-token": token,
    });
    return roles.trim() !== "";
  } catch {
    // No such service, or no role.
    return false;
  }
}

function ask(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(`${METADATA}${path}`, { method, headers, timeout: ANSWER_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`HTTP status ${response.statusCode}`));
      });
      response.on("error", reject);
    });
    call.on("timeout", () => call.destroy(new Error("No answer.")));
    call.on("error", reject);
    call.end();
  });
}
