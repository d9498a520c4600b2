import { describe, expect, it } from "vitest";
import { sshTargetTo } from "../../../test/support/ssh-target-to.ts";
import { isRefusedByHost, sshFailure } from "./ssh-failure.ts";
import { withoutDebug } from "./ssh-output.ts";

const target = { ...sshTargetTo("10.0.0.1"), user: "ops" };

/** Texts of OpenSSH 9.2. */
it.each([
  [
    "No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
    "ssh/host-key-unknown",
  ],
  [
    "@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@\nHost key verification failed.\r\n",
    "ssh/host-key-changed",
  ],
  ["ops@10.0.0.1: Permission denied (publickey).\r\n", "ssh/permission-denied"],
  ["ssh: Could not resolve hostname db1: Name or service not known\r\n", "ssh/name-unknown"],
  ["ssh: connect to host 10.0.0.1 port 22: Connection refused\r\n", "ssh/refused"],
  ["ssh: connect to host 10.0.0.1 port 22: No route to host\r\n", "ssh/no-route"],
  ["ssh: connect to host 10.0.0.1 port 22: Connection timed out\r\n", "ssh/timed-out"],
  ["Timeout, server 10.0.0.1 not responding.\r\n", "ssh/timed-out"],
  ["kex_exchange_identification: read: Connection reset by peer\r\n", "ssh/timed-out"],
  ["Bad configuration option: nonsense\r\n", "ssh/failed"],
  // Of Session Manager, before what ssh makes of it.
  ["sh: 1: exec: aws: not found\nConnection closed by UNKNOWN port 65535\r\n", "ssh/session-command"],
  [
    "SessionManagerPlugin is not found. Please refer to SessionManager Documentation here: http://docs.aws.amazon.com/console/systems-manager/session-manager-plugin-not-found\nConnection closed by UNKNOWN port 65535\r\n",
    "ssh/session-plugin",
  ],
  [
    "An error occurred (TargetNotConnected) when calling the StartSession operation: i-1 is not connected.\nConnection closed by UNKNOWN port 65535\r\n",
    "ssh/session-unavailable",
  ],
  [
    "An error occurred (AccessDeniedException) when calling the StartSession operation: User: x is not authorized\nConnection closed by UNKNOWN port 65535\r\n",
    "ssh/session-denied",
  ],
])("%j is %s", (stderr, code) => {
  const error = sshFailure(target, stderr);
  expect(error.code).toBe(code);
  expect(error.message).toContain("10.0.0.1");
  expect(error.message).not.toMatch(/@@|\r/);
});

it("says what ssh said in the end, without its decoration", () => {
  expect(sshFailure(target, "Warning: Permanently added\nops@10.0.0.1: Permission denied (publickey).\n").message).toBe(
    "10.0.0.1 rejected user ops: no offered key was accepted\nops@10.0.0.1: Permission denied (publickey).",
  );
});

it("names the key that the host shows, and how to take it up", () => {
  const stderr = "debug1: Server host key: ssh-ed25519 SHA256:abc\r\nHost key verification failed.\r\n";
  const { message } = sshFailure({ ...target, port: 2222 }, stderr);
  expect(message).toContain("it shows ssh-ed25519 SHA256:abc.");
  expect(message).toContain("ssh-keyscan -p 2222 10.0.0.1 >> ~/.ssh/known_hosts");
});

it("names the pinned key where that is what does not match", () => {
  const pinned = { ...target, hostKey: "ssh-ed25519 AAAA" };
  expect(sshFailure(pinned, "Host key verification failed.\n").message).toBe(
    "10.0.0.1 shows a host key that differs from hostKey in the spec. The spec has ssh-ed25519 SHA256:cJ6AyISHokEeHuTfufIqhhSS0gxHZRUMDHlKvXD4FHw. If the host was reinstalled, write its new key: the host has it in /etc/ssh/ssh_host_ed25519_key.pub",
  );
});

it("shows of a command's output neither ssh's messages nor the command", () => {
  const stderr = [
    "OpenSSH_9.2p1 Debian",
    "debug1: Sending command: sh -c 'set -e",
    "  cd /opt",
    "'",
    "debug1: pledge: fork",
    "tar: no space",
    "debug1: Exit status 93",
  ].join("\n");
  expect(withoutDebug(stderr)).toBe("tar: no space");
});

it.each(["Permission denied (publickey).", "Received disconnect: Too many authentication failures"])(
  "names an identity file that cannot be read, beside %j",
  (end) => {
    const stderr = `Warning: Identity file /keys/none not accessible: No such file or directory.\r\nops@10.0.0.1: ${end}\r\n`;
    const error = sshFailure(target, stderr);
    expect([error.code, isRefusedByHost(error)]).toEqual(["ssh/identity-file", true]);
    expect(error.message).toContain(
      "10.0.0.1 rejected user ops: the identityFile /keys/none cannot be read: No such file or directory",
    );
  },
);

describe("of a host behind jump hosts", () => {
  const behind = { ...target, jump: "one,ops@two:2222", hostKey: "ssh-ed25519 AAAA" };
  const unknown = "debug1: Server host key: ssh-ed25519 SHA256:abc\r\nHost key verification failed.\r\n";
  const passed = (...hosts: readonly string[]): string =>
    hosts.map((host) => `Authenticated to ${host} ([${host}]:22) using "publickey".\r\n`).join("");
  const shared = "debug1: mux_client_request_stdio_fwd: master session id: 2\r\n";

  it.each([
    ["the first", "", "one", "ssh-keyscan one >>"],
    ["the second", passed("one"), "two", "ssh-keyscan -p 2222 two >>"],
    ["the second, by a connection to the first one that was there", shared, "two", "two"],
  ])("says which of them was not reached: %s", (_, before, host, advice) => {
    const { message } = sshFailure(behind, `${before}${unknown}Connection closed by UNKNOWN port 65535\n`);
    expect(message).toContain("The jump host on the way to 10.0.0.1 was not reached.");
    expect(message).toContain(`The host key of ${host} is not known: it shows ssh-ed25519 SHA256:abc.`);
    expect(message).toContain(advice);
    expect(message).not.toContain("in the spec");
  });

  it("says that the host itself was not, once all of them were", () => {
    const { message } = sshFailure(behind, passed("one", "two") + unknown);
    expect(message).toContain("10.0.0.1 shows a host key that differs from hostKey in the spec");
    expect(message).not.toContain("jump host");
  });
});
