import type { IpPermission } from "@aws-sdk/client-ec2";

/** What may reach the nodes of a security group. */
export interface GroupRules {
  /** Blocks that may reach port 22. */
  readonly sshCidrs: readonly string[];
  /** Ports open to the world: `8080`, `9000-9010`. */
  readonly ports: readonly string[];
}

/** Ports that the rules open to the world, SSH aside. */
export function openPortsOf(present: readonly IpPermission[]): readonly string[] {
  return present.flatMap(({ IpProtocol, FromPort, ToPort, IpRanges = [] }) => {
    const isOpen = IpProtocol === "tcp" && IpRanges.some((range) => range.CidrIp === WORLD);
    if (!isOpen || FromPort === undefined || (FromPort === SSH.from && ToPort === SSH.to)) return [];
    return [ToPort === undefined || ToPort === FromPort ? String(FromPort) : `${FromPort}-${ToPort}`];
  });
}

interface Span {
  readonly from: number;
  readonly to: number;
}

const WORLD = "0.0.0.0/0";
const SSH: Span = { from: 22, to: 22 };

export interface RuleChanges {
  readonly missing: readonly IpPermission[];
  /** Rules for port 22 that are wider than wished. */
  readonly surplus: readonly IpPermission[];
}

/** What has to be done to a group so that it has exactly these rules for SSH, and at least the others. */
export function compareRules(groupId: string, present: readonly IpPermission[], wished: GroupRules): RuleChanges {
  const missing: IpPermission[] = [];
  if (!present.some((rule) => isOpenToGroup(rule, groupId))) {
    missing.push({ IpProtocol: "-1", UserIdGroupPairs: [{ GroupId: groupId }] });
  }
  for (const cidr of wished.sshCidrs) if (!isCovered(SSH, cidr, present)) missing.push(permission(SSH, cidr));
  for (const span of mergeSpans(wished.ports.map(parseSpan))) {
    if (!isCovered(span, WORLD, present)) missing.push(permission(span, WORLD));
  }
  const isPortWished = wished.ports.map(parseSpan).some((span) => span.from <= SSH.from && SSH.to <= span.to);
  return { missing, surplus: isPortWished ? [] : surplusOf(present, wished.sshCidrs) };
}

function surplusOf(present: readonly IpPermission[], cidrs: readonly string[]): readonly IpPermission[] {
  return present
    .filter((rule) => rule.IpProtocol === "tcp" && rule.FromPort === SSH.from && rule.ToPort === SSH.to)
    .flatMap((rule) => [
      ...(rule.IpRanges ?? []).flatMap(({ CidrIp = "" }) => (cidrs.includes(CidrIp) ? [] : [permission(SSH, CidrIp)])),
      ...(rule.Ipv6Ranges ?? []).flatMap(({ CidrIpv6 = "" }) =>
        cidrs.includes(CidrIpv6) ? [] : [permission(SSH, CidrIpv6)],
      ),
    ]);
}

function isOpenToGroup(rule: IpPermission, groupId: string): boolean {
  return rule.IpProtocol === "-1" && (rule.UserIdGroupPairs ?? []).some((pair) => pair.GroupId === groupId);
}

function isCovered(span: Span, cidr: string, present: readonly IpPermission[]): boolean {
  return present.some(
    (rule) =>
      (rule.IpProtocol === "-1" ||
        (rule.IpProtocol === "tcp" && (rule.FromPort ?? 0) <= span.from && span.to <= (rule.ToPort ?? 65_535))) &&
      [
        ...(rule.IpRanges ?? []).map((each) => each.CidrIp),
        ...(rule.Ipv6Ranges ?? []).map((each) => each.CidrIpv6),
      ].some((each) => each === cidr || each === (cidr.includes(":") ? "::/0" : WORLD)),
  );
}

function permission(span: Span, cidr: string): IpPermission {
  const ports = { IpProtocol: "tcp", FromPort: span.from, ToPort: span.to };
  return cidr.includes(":")
    ? { ...ports, Ipv6Ranges: [{ CidrIpv6: cidr }] }
    : { ...ports, IpRanges: [{ CidrIp: cidr }] };
}

function parseSpan(text: string): Span {
  const [from = Number.NaN, to = from] = text.split("-").map(Number);
  return { from, to };
}

/** Ports that follow each other become one rule, because a group has room for a few dozen only. */
export function mergeSpans(spans: readonly Span[]): readonly Span[] {
  const merged: Span[] = [];
  for (const span of spans.toSorted((one, other) => one.from - other.from)) {
    const last = merged.at(-1);
    if (last !== undefined && span.from <= last.to + 1) {
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    } else merged.push(span);
  }
  return merged;
}
