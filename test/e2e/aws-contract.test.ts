import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { createAwsCloud } from "../../src/clouds/aws/index.ts";
import type { OfferRequest } from "../../src/core/ports/cloud.ts";
import { cloudContract } from "../contract/cloud.contract.ts";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { freshProxy, KEY_VARIABLES } from "../support/aws/node-rig.ts";
import { openCatalogs } from "../support/catalogs.ts";

const ROOM = 4;

function request(cpus: number): OfferRequest {
  return {
    numNodes: 1,
    region: "us-east-1",
    cpus: { count: cpus, orMore: false },
    accelerators: {},
    useSpot: false,
    ports: [],
    diskGib: 256,
  };
}

describe.skipIf(findMoto() === undefined)("aws", () => {
  const home = mkdtempSync(join(tmpdir(), "aws-contract-"));
  let moto: Moto;
  let proxy: FaultProxy;

  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterEach(() => proxy.close());
  afterAll(() => {
    moto.stop();
    rmSync(home, { recursive: true, force: true });
  });

  cloudContract(async () => {
    proxy = await freshProxy(moto);
    proxy.world.rules.capacity = { "*": ROOM };
    const env = { AWS_ENDPOINT_URL: proxy.url, AWS_REGION: "us-east-1", ...KEY_VARIABLES };
    const cloud = createAwsCloud({ home, env, catalogs: openCatalogs(home) });
    const config = { aws: { ssh_allowed_cidrs: ["203.0.113.7/32"] } };
    return { cloud, request: request(2), crowd: ROOM, impossible: request(3), config };
  });
});
