import { describe, expect, test } from "vitest";
import { explainFailure, toSshError } from "./failure.ts";
import type { SshTarget } from "./target.ts";

const target: SshTarget = { host: "gpu1", user: "ann", port: 2222, configFiles: [], knownHosts: ["/k"] };

// What OpenSSH 9.2 prints, with `LogLevel ERROR`.
test.each([
  ["kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 10.0.0.1 port 22", "busy"],
  ["Connection closed by 10.0.0.1 port 22", "busy"],
  ["ssh: connect to host 10.0.0.1 port 22: Connection refused", "down"],
  ["ssh: connect to host 10.0.0.1 port 22: No route to host", "down"],
  ["ssh: connect to host 10.0.0.1 port 22: Connection timed out", "timeout"],
  ["Connection timed out during banner exchange\r\nConnection to 10.0.0.1 port 22 timed out", "timeout"],
  ["ssh: Could not resolve hostname gpu1: Name or service not known", "name"],
  ["ann@10.0.0.1: Permission denied (publickey,password).", "denied"],
  ["Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures", "denied"],
  ["Host key verification failed.", "host-key"],
  ['Load key "/k/id": error in libcrypto\nann@h: Permission denied (publickey).', "key-file"],
  ["channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed", "proxy"],
  ["ssh: connect to host jump port 22: Connection refused\nConnection closed by UNKNOWN port 65535", "proxy"],
  ["", "other"],
  ["/bin/sh: 1: exec: sess: not found", "other"],
])("%j is %s", (stderr, kind) => {
  expect(explainFailure(stderr, target).kind).toBe(kind);
});

describe("a changed host key", () => {
  const stderr = `@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@
Add correct host key in /k to get rid of this message.
Offending ED25519 key in /k:1
Host key for [10.0.0.1]:2222 has changed and you have requested strict checking.
Host key verification failed.`;

  test("is told with the command that forgets the old one", () => {
    const error = toSshError(explainFailure(stderr, target), target);
    expect(error.message).toBe(
      "Cannot reach gpu1 by SSH: the host's key (ED25519) is not the one in /k: another machine answers, or it was installed anew.",
    );
    expect(error.hint).toBe("If that is expected, forget the old key: ssh-keygen -f /k -R '[10.0.0.1]:2222'");
  });
});

test("a refused login says which user and what to try", () => {
  const failure = explainFailure("ann@h: Permission denied (publickey).", target);
  expect(failure.reason).toBe("the login as ann was refused (it accepts: publickey)");
  expect(failure.hint).toContain("ssh-add");
  const withKey = { ...target, identityFiles: ["/k/id"] };
  expect(explainFailure("ann@h: Permission denied (publickey).", withKey).hint).toContain("/k/id");
});
