import { argument, commandSpec, text } from "../parser/spec.ts";
import { configOption } from "./shared-options.ts";

export const awsSsmProxySpec = commandSpec({
  help: "Carry an SSH connection to a node through AWS Session Manager, on standard input and output. ~/.ssh/config names it as ProxyCommand.",
  args: { target: argument("TARGET") },
  options: {
    config: configOption,
    region: text("--region", "Region of the node."),
    cluster: text("--cluster", "Name on AWS of the cluster that TARGET, an id or address, belongs to."),
    door: text("--door", "Socket of the API server that starts the session with the instance TARGET."),
  },
});
