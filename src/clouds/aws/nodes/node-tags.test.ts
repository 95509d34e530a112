import { array, assert, integer, property, uniqueArray } from "fast-check";
import { describe, expect, it } from "vitest";
import { creationTags, indicesOf, nodeFactsOf, originOf, parseIndices, renderIndices } from "./node-tags.ts";

const WISH = {
  clusterName: "My_Cluster",
  nameOnCloud: "my-cluster-0a1b2c3d",
  userName: "Alice B.",
  sshUser: "ubuntu",
  via: "ssm" as const,
  perNode: { cpus: 96, memoryGib: 1152, accelerators: { A100: 8 } },
  labels: { team: "ml" },
  origin: { user: "0a1b2c3d", workspace: "default", nodes: "3" },
};

describe("tags", () => {
  it("writes indices so that they can be read again", () => {
    assert(
      property(uniqueArray(integer({ min: 0, max: 9999 }), { maxLength: 40 }), (indices) => {
        const sorted = indices.toSorted((a, b) => a - b);
        expect(parseIndices(renderIndices(sorted))).toEqual(sorted);
      }),
    );
    expect(renderIndices([0, 1, 2, 5])).toBe("0-2 5");
    expect(parseIndices("x 3-1 -4 99999999")).toEqual([]);
  });

  it("makes of a launch what it was asked for", () => {
    const { instance, volume } = creationTags(WISH, [1, 2]);
    const tags = Object.fromEntries((instance.Tags ?? []).map(({ Key, Value }) => [Key, Value]));
    expect(tags).toEqual({
      Name: "sky-my-cluster-0a1b2c3d-worker",
      "ray-cluster-name": "my-cluster-0a1b2c3d",
      "skypilot-cluster-name": "my-cluster-0a1b2c3d",
      "skypilot-user": "aliceb",
      team: "ml",
      "ray-node-type": "worker",
      "skypilot-head-node": "0",
      "skypilot-node-indices": "1-2",
      "skypilot-node": "cpus=96 memory=1152 user=ubuntu via=ssm A100=8",
      "skypilot-origin": "cluster=My_Cluster user=0a1b2c3d workspace=default nodes=3",
    });
    expect(volume.Tags).toContainEqual({ Key: "ray-cluster-name", Value: "my-cluster-0a1b2c3d" });
    expect(nodeFactsOf({ Tags: instance.Tags })).toEqual({ resources: WISH.perNode, sshUser: "ubuntu", via: "ssm" });
    expect(originOf({ Tags: instance.Tags })).toEqual({ cluster: "My_Cluster", ...WISH.origin });
  });

  it("tells nodes apart by launch index, whatever the order", () => {
    const launched = (ids: readonly string[], indices: readonly number[]) =>
      ids.map((InstanceId, AmiLaunchIndex) => ({
        InstanceId,
        AmiLaunchIndex,
        Tags: creationTags(WISH, indices).instance.Tags ?? [],
      }));
    const all = [...launched(["i-z", "i-a"], [0, 3]), ...launched(["i-m", "i-b"], [1, 2])];
    const expected = new Map([
      ["i-z", 0],
      ["i-a", 3],
      ["i-m", 1],
      ["i-b", 2],
    ]);
    expect(indicesOf(all)).toEqual(expected);
  });

  it("reads the clusters of SkyPilot's own releases: the head first, the others by id", () => {
    const worker = [{ Key: "ray-node-type", Value: "worker" }];
    const head = [{ Key: "ray-node-type", Value: "head" }];
    const seen = [
      { InstanceId: "i-2", Tags: worker },
      { InstanceId: "i-3", Tags: head },
      { InstanceId: "i-1", Tags: worker },
    ];
    expect(Object.fromEntries(indicesOf(seen))).toEqual({ "i-3": 0, "i-1": 1, "i-2": 2 });
  });

  it("gives every instance an index of its own", () => {
    assert(
      property(array(integer({ min: 0, max: 3 }), { maxLength: 8 }), (sizes) => {
        const seen = sizes.map((size, position) => ({
          InstanceId: `i-${position}`,
          AmiLaunchIndex: size,
          Tags: [{ Key: "skypilot-node-indices", Value: size === 0 ? "" : `${position * 4}-${position * 4 + 3}` }],
        }));
        expect(new Set(indicesOf(seen).values()).size).toBe(seen.length);
      }),
    );
  });
});
