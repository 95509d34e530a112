import { withSsm, type Region } from "../nodes/region.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";

/** Looks that come within this time go out as one call. */
const WINDOW_MS = 50;
/** AWS takes no more in one page. */
const IDS_PER_CALL = 50;
const LOOK_MS = 30_000;

/** What is known of an instance's Session Manager agent; `unknown` = we may not look. */
export type AgentState = "online" | "offline" | "unknown";

interface Round {
  readonly ids: Set<string>;
  readonly answer: Promise<ReadonlyMap<string, AgentState>>;
}

/** Asks whether agents are connected to AWS; the nodes of a cluster, which start together, with one call. */
export class Agents {
  /** What is about to be asked, by caller and region. */
  readonly #rounds = new Map<string, Round>();

  async stateOf(region: Region, instance: string): Promise<AgentState> {
    const key = `${region.principal}\n${region.name}`;
    const known = this.#rounds.get(key);
    const round = known !== undefined && known.ids.size < IDS_PER_CALL ? known : this.#open(key, region);
    round.ids.add(instance);
    const answer = await round.answer;
    region.signal.throwIfAborted();
    return answer.get(instance) ?? "offline";
  }

  #open(key: string, region: Region): Round {
    const ids = new Set<string>();
    const ask = async (): Promise<ReadonlyMap<string, AgentState>> => {
      await region.clock.sleep(WINDOW_MS);
      if (this.#rounds.get(key) === round) this.#rounds.delete(key);
      // Others wait for it too, so it has a limit of its own instead of one caller's signal.
      return look({ ...region, signal: AbortSignal.timeout(LOOK_MS) }, [...ids]);
    };
    const round: Round = { ids, answer: ask() };
    this.#rounds.set(key, round);
    return round;
  }
}

async function look(region: Region, ids: readonly string[]): Promise<ReadonlyMap<string, AgentState>> {
  const { DescribeInstanceInformationCommand } = await import("@aws-sdk/client-ssm");
  const input = { Filters: [{ Key: "InstanceIds", Values: [...ids] }], MaxResults: IDS_PER_CALL };
  try {
    const { InstanceInformationList = [] } = await withSsm(region, (ssm, http) =>
      ssm.send(new DescribeInstanceInformationCommand(input), http),
    );
    return new Map(
      InstanceInformationList.map(({ InstanceId = "", PingStatus }) => [
        InstanceId,
        PingStatus === "Online" ? "online" : "offline",
      ]),
    );
  } catch (error) {
    if (!(error instanceof AwsDeniedError)) throw error;
    return new Map(ids.map((id) => [id, "unknown"]));
  }
}
