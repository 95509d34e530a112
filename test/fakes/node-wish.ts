import type { NodeWish } from "../../src/core/ports/cloud.ts";

/** A wish without anything special. */
export const PLAIN_WISH: NodeWish = {
  diskGib: 256,
  onPowerOff: "stop",
  publicKeys: () => ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ test"],
  userName: "alice",
  userHash: "0a1b2c3d",
  workspace: "default",
  clusterHash: "d0d0",
};
