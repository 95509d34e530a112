import type { IpPermission } from "@aws-sdk/client-ec2";
import { describe, expect, it } from "vitest";
import { compareRules, mergeSpans } from "./group-rules.ts";

const SELF: IpPermission = { IpProtocol: "-1", UserIdGroupPairs: [{ GroupId: "sg-1" }] };
const ssh = (cidr: string): IpPermission => ({
  IpProtocol: "tcp",
  FromPort: 22,
  ToPort: 22,
  IpRanges: [{ CidrIp: cidr }],
});
const open = (from: number, to = from): IpPermission => ({
  IpProtocol: "tcp",
  FromPort: from,
  ToPort: to,
  IpRanges: [{ CidrIp: "0.0.0.0/0" }],
});

describe("rules of a security group", () => {
  it("lets in the group itself, SSH from the blocks and the ports from everywhere", () => {
    const wished = { sshCidrs: ["203.0.113.7/32", "2001:db8::/64"], ports: ["8080", "9000-9010", "9011"] };
    const ipv6 = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, Ipv6Ranges: [{ CidrIpv6: "2001:db8::/64" }] };
    expect(compareRules("sg-1", [], wished)).toEqual({
      missing: [SELF, ssh("203.0.113.7/32"), ipv6, open(8080), open(9000, 9011)],
      surplus: [],
    });
  });

  it("changes nothing that is right", () => {
    const present = [SELF, ssh("203.0.113.7/32"), open(8000, 9000)];
    expect(compareRules("sg-1", present, { sshCidrs: ["203.0.113.7/32"], ports: ["8080"] })).toEqual({
      missing: [],
      surplus: [],
    });
  });

  it("closes SSH for whom it is not meant, and leaves other rules alone", () => {
    const present = [SELF, ssh("0.0.0.0/0"), open(443), { ...ssh("198.51.100.1/32"), FromPort: 20 }];
    expect(compareRules("sg-1", present, { sshCidrs: [], ports: [] })).toEqual({
      missing: [],
      surplus: [ssh("0.0.0.0/0")],
    });
  });

  it("leaves port 22 to a task that asks for it to be open", () => {
    expect(compareRules("sg-1", [SELF, open(22)], { sshCidrs: [], ports: ["20-30"] }).surplus).toEqual([]);
  });

  it("joins ports that follow each other", () => {
    const spans = [
      { from: 5, to: 6 },
      { from: 1, to: 2 },
      { from: 3, to: 3 },
      { from: 2, to: 2 },
    ];
    expect(mergeSpans(spans)).toEqual([
      { from: 1, to: 3 },
      { from: 5, to: 6 },
    ]);
  });
});
