import { questionsOf } from "./access-questions.ts";
import type { Fault, FaultProxy, SeenCall } from "./fault-proxy.ts";
import { evaluate, type AccessQuestion, type Statement } from "./policy-evaluator.ts";

const USER = "arn:aws:iam::123456789012:user/ann";
/** Needs no permission. */
const FREE = "sts:GetCallerIdentity";

/** What a policy let through and what it did not, in order. */
export interface Enforcement {
  readonly allowed: string[];
  readonly refused: string[];
  end(): void;
}

/** Lets AWS behind the proxy obey only what the policy (a JSON document) allows, action by action, resource by resource. */
export function enforcePolicy(proxy: FaultProxy, document: string): Enforcement {
  const statements = (JSON.parse(document) as { readonly Statement: readonly Statement[] }).Statement;
  // Sessions of the test's service begin like those of a user with that id.
  const mine = JSON.parse(JSON.stringify(statements).replaceAll("${aws:userid}", "*")) as readonly Statement[];
  const allowed = new Set<string>();
  const refused = new Set<string>();
  const tagsOf = (id: string): Readonly<Record<string, string>> => {
    const cluster = proxy.world.ledger.get(id)?.cluster ?? "";
    return cluster === "" ? {} : { "skypilot-cluster-name": cluster };
  };
  const done: Enforcement = {
    get allowed() {
      return [...allowed];
    },
    get refused() {
      return [...refused];
    },
    end: () => void (proxy.faultOf = () => undefined),
  };
  proxy.faultOf = (call) => {
    if (call.action === FREE) return undefined;
    for (const question of questionsOf({ ...call, service: call.action.split(":")[0] ?? "", path: "" }, tagsOf)) {
      const isAllowed = evaluate(mine, question).decision === "allowed";
      (isAllowed ? allowed : refused).add(question.action);
      if (!isAllowed) return refusalOf(call, question);
    }
    return undefined;
  };
  return done;
}

function refusalOf(call: SeenCall, { action, resource }: AccessQuestion): Fault {
  const message = `User: ${USER} is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`;
  if (call.isJson) return { kind: "refuse", status: 400, code: "AccessDeniedException", message };
  const isEc2 = call.action.startsWith("ec2:");
  return { kind: "refuse", status: 403, code: isEc2 ? "UnauthorizedOperation" : "AccessDenied", message };
}
