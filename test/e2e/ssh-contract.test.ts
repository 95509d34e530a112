/** What the core relies on, of machines with a real sshd. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { createSshCloud } from "../../src/clouds/ssh/index.ts";
import type { Cloud, CloudCommandContext, OfferRequest } from "../../src/core/ports/cloud.ts";
import { shellQuote } from "../../src/shared/shell-quote.ts";
import { cloudContract } from "../contract/cloud.contract.ts";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { AGENT_BUNDLE } from "./agent-rig.ts";

const HOSTS = [{ name: "one" }, { name: "two" }, { name: "three" }];

function request(cpus: number): OfferRequest {
  return {
    numNodes: 1,
    cpus: { count: cpus, orMore: true },
    accelerators: {},
    useSpot: false,
    ports: [],
    diskGib: 256,
  };
}

describeWithFleet("clouds", () => {
  describe("ssh", { timeout: 60_000 }, () => {
    let fleet: Fleet;
    let home: string;
    let cloud: Cloud;

    beforeAll(async () => {
      fleet = await Fleet.create();
      const hosts = await fleet.addHosts(HOSTS);
      home = mkdtempSync(join(fleet.root, "home-"));
      await installSshUser(fleet, { home, hosts });
      mkdirSync(join(home, ".sky"));
      writeFileSync(join(home, ".sky/ssh_node_pools.yaml"), "rack:\n  hosts: [one, two, three]\n");
      const context: CloudCommandContext = {
        workspace: "default",
        config: {},
        env: {},
        signal: AbortSignal.timeout(120_000),
        say: () => undefined,
        openUrl: () => undefined,
      };
      await open().commands?.["up"]?.run({}, context);
    }, 120_000);

    afterEach(async () => {
      const context = { workspace: "default", config: {}, env: {}, signal: AbortSignal.timeout(60_000) };
      for (const name of ["a", "b", "c"]) {
        const ref = { clusterName: name, nameOnCloud: `${name}-0a1b2c3d`, region: "rack", zone: null };
        await cloud.terminate(ref, context);
      }
    });

    afterAll(() => fleet?.dispose());

    /** The adapter runs in this process, its `ssh` in the fleet's network. */
    function open(): Cloud {
      const bin = join(fleet.root, "bin");
      mkdirSync(bin, { recursive: true });
      const words = fleet.world.enter(["/usr/bin/ssh"]).map(shellQuote).join(" ");
      writeFileSync(join(bin, "ssh"), `#!/bin/sh\nexec ${words} "$@"\n`);
      chmodSync(join(bin, "ssh"), 0o755);
      const env = { PATH: `${bin}:/usr/bin:/bin:/usr/sbin:/sbin`, HOME: home };
      return createSshCloud({ home, env, agentBundle: AGENT_BUNDLE });
    }

    cloudContract(() => {
      cloud = open();
      return Promise.resolve({
        cloud,
        request: request(1),
        crowd: HOSTS.length + 1,
        impossible: request(4096),
        hasMachines: true,
      });
    });
  });
});
